// Searches and filters the rows and columns of the tables, which are complete without scripts.
"use strict";
(() => {
  const controls = document.querySelector(".controls");
  const onlyColumn = document.head.appendChild(document.createElement("style"));
  const rows = [...document.querySelectorAll(".rows tbody tr")].map((row) => ({
    row,
    text: row.textContent.toLowerCase(),
    themes: row.dataset.themes.split(" "),
    verdicts: [...row.querySelectorAll("td")].map((cell) => cell.className),
  }));
  const has = {
    "": () => true,
    known: (all) => all.includes("known") || all.includes("bad"),
    bad: (all) => all.includes("bad"),
    skip: (all) => all.includes("skip"),
    differ: (all) => new Set(all.filter((one) => one !== "none" && one !== "skip")).size > 1,
  };
  const filter = () => {
    const words = controls.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const theme = controls.elements.theme.value;
    const verdict = has[controls.elements.verdict.value];
    const column = controls.elements.column.value;
    onlyColumn.textContent = column
      && `.rows tr > :nth-child(n + 2):not(:nth-child(${column})) { display: none; }`;
    let shown = 0;
    for (const { row, text, themes, verdicts } of rows) {
      const fits = words.every((word) => text.includes(word)) && (!theme || themes.includes(theme))
        && verdict(column ? [verdicts[column - 2]] : verdicts);
      row.hidden = !fits;
      shown += fits;
    }
    controls.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
  };
  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  // The browser restores the fields when the reader comes back from another page.
  addEventListener("pageshow", filter);
  controls.hidden = false;
  filter();
})();
