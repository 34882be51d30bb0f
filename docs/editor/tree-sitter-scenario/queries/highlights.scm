; Colours of a scenario, in the names that Neovim, Helix and Zed share.

[(comment) (reason)] @comment
["# covers " "# heavy: " "# order: " "# outlives: "] @keyword.directive
(requirement) @constant

["each" "in"] @keyword.repeat
(variable) @variable.parameter
(range) @number

(task) @type
(process) @type
(handle) @variable
[(index) (half)] @variable.member

(step verb: _ @function)
["with" "handle" "within" "blocks" "is" "reaped" "ends" "at" "descriptor" "descriptors" "off" "free" "handles" "trapped" "raising"
 "in-list" "share" "on" "or" "until"] @keyword
["=>" (times)] @operator

[(outcome) (system_error) "exit" "signal"] @constant.builtin
[(codec) (signal) (position)] @constant
(text) @string
[(escape) (inserted)] @string.escape
[(size) (number) (duration)] @number
