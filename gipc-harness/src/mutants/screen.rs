//! The kill matrix as text for a person and as JSON.

use super::fault_list::Fault;
use super::kill_matrix::{FaultResult, KillMatrix};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// How many scenarios a row lists by their ids.
const MAX_OTHERS: usize = 3;

/// The row of one fault.
#[must_use]
pub fn row(fault: &Fault, result: &FaultResult) -> String {
    let how = match (&fault.equivalent, result.named_how()) {
        (Some(_), _) => "equivalent".to_owned(),
        (None, Some(how)) => how.to_string(),
        (None, None) => "NOT CAUGHT".to_owned(),
    };
    let others: Vec<&str> = result.others().map(|one| one.scenario.as_str()).collect();
    let others = match others.len() {
        0 => String::new(),
        1..=MAX_OTHERS => format!("  also {}", others.join(", ")),
        count => format!("  also {count} others"),
    };
    let (name, scenario, seconds) = (&fault.name, &fault.scenario, result.seconds);
    format!("  {name:<40} {how:<10} {scenario:<48} {seconds:>5.1} s{others}\n")
}

/// The summary below the rows. `ids` are the scenarios of the suite that ran.
#[must_use]
pub fn summary(matrix: &KillMatrix, ids: &BTreeSet<String>) -> String {
    let (caught, count) = matrix.score(None);
    let missed = matrix.missed().count();
    let mut text = format!(
        "\n  {caught} of {count} faults caught ({}), {} by the scenario named for them; {:.0} s\n",
        percent(caught, count),
        count - missed,
        matrix.seconds()
    );
    let themes: Vec<String> = matrix
        .themes()
        .into_iter()
        .map(|theme| {
            let (caught, count) = matrix.score(Some(theme));
            format!("{theme} {caught}/{count}")
        })
        .collect();
    let ways: Vec<String> =
        matrix.ways().iter().map(|(how, count)| format!("{how} {count}")).collect();
    let _ = writeln!(text, "  themes: {}", themes.join(", "));
    let _ = writeln!(text, "  shown as: {}", ways.join(", "));
    for (fault, result) in matrix.missed() {
        let others = result.others().count();
        let _ = writeln!(
            text,
            "  NOT CAUGHT by {}: {}: {} ({others} others catch it)",
            fault.scenario, fault.name, fault.about
        );
    }
    let proven = matrix.proven();
    let unproven: Vec<&str> =
        ids.iter().map(String::as_str).filter(|id| !proven.contains(id)).collect();
    if !unproven.is_empty() {
        let _ = writeln!(
            text,
            "  {} of {} scenarios catch no fault: {}",
            unproven.len(),
            ids.len(),
            unproven.join(" ")
        );
    }
    text
}

/// The result of one fault as JSON.
#[must_use]
pub fn json_line(adapter: &str, fault: &Fault, result: &FaultResult) -> Value {
    json!({
        "adapter": adapter,
        "fault": fault.name,
        "about": fault.about,
        "from": fault.from,
        "theme": fault.theme(),
        "named": fault.scenario,
        "equivalent": fault.equivalent,
        "caught_as_named": result.is_caught_as_named(),
        "how": result.named_how(),
        "caught_by": result.caught_by,
        "ran": result.ran,
        "seconds": result.seconds,
    })
}

/// The totals as JSON.
#[must_use]
pub fn json_summary(matrix: &KillMatrix, ids: &BTreeSet<String>) -> Value {
    let (caught, count) = matrix.score(None);
    let proven = matrix.proven();
    let unproven: Vec<&String> = ids.iter().filter(|id| !proven.contains(id.as_str())).collect();
    let missed: Vec<&str> = matrix.missed().map(|(fault, _)| fault.name.as_str()).collect();
    json!({
        "faults": count, "caught": caught, "missed": missed, "unproven": unproven,
        "seconds": matrix.seconds(),
    })
}

fn percent(caught: f64, count: usize) -> String {
    match count {
        0 => "none ran".to_owned(),
        _ => format!("{:.1} %", caught * 100.0 / count as f64),
    }
}
