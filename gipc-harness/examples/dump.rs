//! Temporary.
use gipc_harness::model::{self, Choices, Mutation, ReleaseOrder};
use gipc_harness::scenario::{Scenario, parse};
use std::hash::{Hash, Hasher};
fn h(x: &impl std::fmt::Debug) -> u64 {
    let mut s = std::collections::hash_map::DefaultHasher::new();
    format!("{x:?}").hash(&mut s);
    s.finish()
}
fn hs(t: &String) -> u64 {
    let mut s = std::collections::hash_map::DefaultHasher::new();
    t.hash(&mut s);
    s.finish()
}
fn one(s: &Scenario, name: &str) {
    let c = Choices::default();
    let a = model::allowed(s, c);
    let tr = |t: &gipc_harness::trace::Trace| format!("{t:?}");
    let mut ts: Vec<String> = a.traces.iter().map(tr).collect();
    ts.sort();
    let big = s.steps.len() > 3000;
    let mut set: Vec<String> = Vec::new();
    if !a.complete {
        ts.clear();
    }
    set.push(format!("allowed {} {} {:x}", a.complete, ts.len(), h(&ts)));
    set.push(format!(
        "story {:x} sched {:x}",
        h(&a.traces[0]),
        h(&format!("{:?}", model::schedule(s, c)))
    ));
    if !big {
        set.push(format!("dl {:?} cap {}", model::deadlock(s, c), model::depends_on_capacity(s)));
        set.push(format!("orders {:x}", h(&model::orders(s, c))));
        let ps = model::injection_points(s, c);
        set.push(format!("points {} {:x}", ps.len(), h(&ps)));
        for p in ps.iter().take(40) {
            let k = model::allowed_if_killed(s, c, *p);
            set.push(format!(
                "{:x}",
                hs(&format!(
                    "Allowed {{ traces: {:?}, complete: {:?} }}",
                    k.0.traces, k.0.complete
                ))
            ));
            set.push(format!("{:x}", h(&k.1)));
        }
        for seed in 0..5 {
            set.push(format!("r {:x}", h(&model::in_order(s, c, &ReleaseOrder::Random(seed)))));
        }
        for m in Mutation::ALL {
            set.push(format!("m {:x}", h(&model::predict(s, Choices { mutation: Some(m), ..c }))));
        }
        let c = Choices { late_get_waits: true, max_message: 300, start_needs: 0, ..c };
        set.push(format!(
            "alt {:x} {}",
            h(&model::predict(s, c)),
            model::allowed(s, c).traces.len()
        ));
    }
    println!("{name} {}", set.join(" | "));
}
fn walk(p: &std::path::Path, v: &mut Vec<std::path::PathBuf>) {
    for e in std::fs::read_dir(p).unwrap().flatten() {
        let p = e.path();
        if p.is_dir() {
            walk(&p, v)
        } else if p.extension().is_some_and(|x| x == "scenario") {
            v.push(p)
        }
    }
}
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut v = Vec::new();
    walk(std::path::Path::new("scenarios"), &mut v);
    v.sort();
    for p in v {
        let t = std::fs::read_to_string(&p).unwrap();
        let s = parse("x", &t).unwrap_or_else(|_| panic!("{p:?}"));
        one(&s, &p.display().to_string());
    }
    let profiles =
        ["core", "tasks", "process", "frames", "signals", "counts"].map(str::to_owned).into();
    for seed in 0..n {
        let sc = gipc_harness::explore::script(&mut fastrand::Rng::with_seed(seed), &profiles);
        let text = sc.to_string();
        match parse("x", &text) {
            Ok(s) => one(&s, &format!("seed{seed}:{:x}", h(&text))),
            Err(_) => println!("seed{seed}:{:x} bad", h(&text)),
        }
    }
}
