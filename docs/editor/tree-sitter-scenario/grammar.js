// The syntax of `.scenario` files. Whether a name exists, and whether a verb takes a time limit, is for `check` to say.

const commaSeparated = (rule) => seq(rule, repeat(seq(",", rule)));

module.exports = grammar({
  name: "scenario",
  extras: () => [/[ \t\r]/],
  word: ($) => $.name,

  rules: {
    source_file: ($) => seq(repeat(seq(optional($._item), "\n")), optional($._item)),
    _item: ($) => choice($.covers, $.heavy, $.order, $.comment, $.each, $.step),

    comment: () => token(/#[^\n]*/),
    covers: ($) => seq(token(prec(1, "# covers ")), repeat1($.requirement)),
    heavy: ($) => seq(token(prec(1, "# heavy: ")), alias(/[^\n]+/, $.reason)),
    order: ($) => seq(token(prec(1, "# order: ")), repeat1(seq($.task, optional($.times)))),
    requirement: () => /[A-Z]+-[0-9]+/,
    times: () => token.immediate(/\*[0-9]+/),

    each: ($) => seq("each", commaSeparated(seq($.variable, "in", $.range))),
    variable: ($) => $.name,
    range: () => /[0-9]+\.\.[0-9]+/,

    step: ($) => seq($.task, $._action, optional(seq("=>", $._outcomes))),
    task: ($) => seq($.process, optional(seq(token.immediate("/"), $.process))),
    process: ($) => $._indexed,
    handle: ($) => seq($._indexed, optional($.half)),
    _indexed: ($) => seq($.name, repeat($.index)),
    name: () => /[a-z][a-z0-9-]*/,
    index: () => token.immediate(/\[([a-z]+([+-]1)?|[0-9]+)\]/),
    half: () => token.immediate(/\.[rw]/),

    _action: ($) => choice(
      seq(field("verb", "pipe"), $.handle, $.handle, optional(seq("with", $.codec))),
      seq(field("verb", "duplex"), $.handle, $.handle),
      seq(field("verb", "spawn"), $.process, repeat(choice($.handle, $.hidden))),
      seq(field("verb", "put"), $.handle, choice($._payload, seq("handle", $.handle)), optional($.limit)),
      seq(field("verb", "get"), $.handle, optional($.limit)),
      seq(field("verb", "join"), $.process, optional($.limit)),
      seq(field("verb", choice("close", "rest")), $.handle),
      seq(field("verb", choice("kill", "terminate", "alive", "code", "reap", "exec")), $.process),
      seq(field("verb", "exit"), $.number),
      seq(field("verb", "until"), choice(seq($.task, "blocks"), seq($.process, "is", "reaped"))),
      seq(field("verb", "stall"), "until", $.process, "ends"),
      seq(field("verb", "cancel"), $.task),
      seq(field("verb", "pause"), $.duration),
      field("verb", "raise"),
      seq(field("verb", "cut"), $.handle, $._payload, "at", $.position),
      seq(field("verb", "announce"), $.handle, $._payload),
      seq(field("verb", choice("trap", "ignore", "block")), $.signal),
      seq(field("verb", "signal"), $.process, $.signal),
      seq(field("verb", "limit"), "descriptors", choice("off", seq($.number, "free"))),
      seq(field("verb", "count"), choice("handles", "trapped")),
      seq(field("verb", "enter"), repeat1($.handle)),
      seq(field("verb", "leave"), repeat1($.handle), optional("raising")),
    ),
    codec: () => choice("json", "failing"),
    hidden: ($) => seq("in-list", token.immediate("("), $.handle, ")"),
    limit: ($) => seq("within", $.duration),
    position: () => /[0-9]+|header(\+[0-9]+)?|end-[0-9]+/,

    _outcomes: ($) => seq($._outcome, repeat(seq("or", $._outcome))),
    _outcome: ($) => choice(
      $._payload,
      $.number,
      $.outcome,
      $.system_error,
      seq("exit", $.number),
      seq("signal", $.signal),
      seq("blocks", optional(seq("on", commaSeparated($.process)))),
    ),
    outcome: () => choice(
      "ok", "eof", "truncated", "closed", "locked", "broken", "timeout", "cancelled", "poisoned", "misuse", "too-large",
      "protocol", "encode", "decode", "raised", "yes", "no", "running", "never",
    ),
    system_error: () => /os:E[A-Z0-9]+/,

    _payload: ($) => choice($.text, $.size),
    text: ($) => seq('"', repeat(choice($.content, $.escape, $.inserted)), token.immediate('"')),
    content: () => token.immediate(prec(1, /[^"\\\n{]+|\{/)),
    escape: () => token.immediate(/\\[n"\\]/),
    inserted: () => token.immediate(prec(2, /\{[a-z]+([+-]1)?\}/)),
    size: () => /[0-9]+(B|(KiB|MiB|GiB)([+-]1)?)/,
    number: () => /[0-9]+/,
    duration: () => /[0-9]+ms/,
    signal: () => /SIG[A-Z0-9]+/,
  },
});
