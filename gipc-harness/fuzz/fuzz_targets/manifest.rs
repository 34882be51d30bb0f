//! Any text is a manifest, with any variant of it, or has an error in words.
#![no_main]

use gipc_harness::adapter::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(manifest) = Manifest::parse(text, "fuzz") else { return };
    let names: Vec<String> = manifest.variant.iter().map(|variant| variant.name.clone()).collect();
    for name in names.iter().map(String::as_str).chain(["no such variant"]) {
        let _ = manifest.clone().choose(Some(name), "fuzz");
    }
    let _ = manifest.choose(None, "fuzz");
});
