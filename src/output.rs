//! Showing answers: a table for people, JSON and CSV for programs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks")]

use clap::ValueEnum;
use serde_json::Value;
use std::fmt::Display;
use std::process::ExitCode;

/// How to show an answer.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Columns for people
    Table,
    /// JSON, as the API answers
    Json,
    /// Comma-separated values with a header line
    Csv,
}

/// Says why nothing was done; the exit code is 1.
pub(crate) fn refused(reason: impl Display) -> ExitCode {
    use std::io::Write;
    let _nobody_reads = writeln!(std::io::stderr().lock(), "rialto: {reason}");
    ExitCode::from(1)
}

/// Says something to people.
pub(crate) fn say(line: impl Display) {
    write(&format!("{line}\n"));
}

/// Writes to standard output. Nobody reading any more (`| head`) is no error of ours, and must not
/// end a server.
fn write(text: &str) {
    use std::io::Write;
    let _nobody_reads = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Shows an answer. A list becomes rows; a single thing becomes lines of `name value`.
pub(crate) fn show(format: Format, answer: &Value) {
    match (format, answer) {
        (Format::Json, _) => write(&format!("{answer:#}\n")),
        (Format::Table, Value::Array(rows)) => write(&table(rows)),
        (Format::Csv, Value::Array(rows)) => write(&csv(rows)),
        (Format::Table, Value::Object(fields)) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in fields {
                write(&format!("{name:width$}  {}\n", cell(value)));
            }
        }
        (Format::Csv, Value::Object(_)) => write(&csv(std::slice::from_ref(answer))),
        (_, other) => write(&format!("{}\n", cell(other))),
    }
}

/// A value in one cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(name, value)| format!("{name}={}", cell(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

fn columns(rows: &[Value]) -> Vec<&str> {
    let first = rows.first().and_then(Value::as_object);
    first.map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn table(rows: &[Value]) -> String {
    let columns = columns(rows);
    let mut lines: Vec<Vec<String>> =
        vec![columns.iter().map(|name| name.to_uppercase()).collect()];
    for row in rows {
        lines.push(columns.iter().map(|name| cell(&row[*name])).collect());
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|place| lines.iter().map(|line| line[place].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let joined = cells.collect::<Vec<_>>().join("  ");
        text.push_str(joined.trim_end());
        text.push('\n');
    }
    text
}

fn csv(rows: &[Value]) -> String {
    let columns = columns(rows);
    let mut text = columns.join(",");
    text.push('\n');
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|name| quoted(&cell(&row[*name]))).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

/// A CSV field. A leading sign that a spreadsheet would take for a formula is kept from it by an
/// apostrophe (attack 62).
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t']) && text.parse::<f64>().is_err();
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_align() {
        let rows = [json!({"a": 1, "b": ["x", "y"]}), json!({"a": 100, "b": null})];
        assert_eq!(table(&rows), "A    B\n1    x y\n100\n");
    }

    #[test]
    fn attack_62_csv_has_no_formulas() {
        let rows = [json!({"name": "=HYPERLINK(\"http://x\")", "n": -5})];
        assert_eq!(csv(&rows), "name,n\n\"'=HYPERLINK(\"\"http://x\"\")\",-5\n");
        assert_eq!(table(&[json!({"a": "x\u{1b}[2J"})]), "A\nx[2J\n");
    }
}
