//! Any text is a scenario or has an error with a place in it; and what is a scenario is printed as one that is the same.
#![no_main]

use gipc_harness::scenario::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse("fuzz", text) {
        Ok(scenario) => {
            let printed = scenario.script.to_string();
            let again = parse("fuzz", &printed).expect("what is printed can be read");
            assert_eq!(again.script, scenario.script);
        }
        Err(error) => drop(error.render("fuzz", text)),
    }
});
