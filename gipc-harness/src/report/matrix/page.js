// What the page does with scripts and also says without them: evidence in a window, and rows that are searched.
"use strict";
(() => {
  const dialog = document.querySelector("dialog");
  const window_ = dialog.querySelector("div");
  const controls = document.querySelector(".controls");

  // Evidence is moved into the window and back, so that its links and its place stay the same.
  let lent = null;
  const giveBack = () => {
    if (lent) lent.place.replaceWith(lent.article);
    lent = null;
  };
  const open = (id) => {
    const article = document.getElementById(id);
    if (!article || article.tagName !== "ARTICLE") return false;
    giveBack();
    const place = document.createComment("");
    article.replaceWith(place);
    window_.replaceChildren(article);
    lent = { article, place };
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    return true;
  };
  dialog.addEventListener("close", () => {
    giveBack();
    history.replaceState(null, "", location.pathname + location.search);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link) return;
    const id = decodeURIComponent(link.hash.slice(1));
    if (open(id)) {
      event.preventDefault();
      history.replaceState(null, "", link.hash);
      return;
    }
    if (dialog.open) dialog.close();
    const details = document.getElementById(id);
    if (details && details.tagName === "DETAILS") details.open = true;
  });
  if (location.hash) open(decodeURIComponent(location.hash.slice(1)));

  const rows = [...document.querySelectorAll(".rows tbody tr[data-themes]")].map((row) => ({
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
    let shown = 0;
    for (const { row, text, themes, verdicts } of rows) {
      const fits = words.every((word) => text.includes(word))
        && (!theme || themes.includes(theme)) && verdict(verdicts);
      row.hidden = !fits;
      shown += fits;
    }
    controls.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
  };
  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
  filter();
})();
