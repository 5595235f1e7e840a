//! What was measured, as it comes, as a table in the end, and as JSON lines.

use super::Contender;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::time::Duration;

const FILE: &str = "target/bench.json";

/// Milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// What a figure has to reach.
#[derive(Clone, Copy)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// So many times what the tuned peer reaches in the same run; not judged without it.
    TimesTuned(f64),
}

impl Bar {
    /// `None` where nothing is known to judge by.
    fn reached(self, value: f64, tuned: Option<f64>) -> Option<bool> {
        match self {
            Self::AtLeast(bar) => Some(value >= bar),
            Self::AtMost(bar) => Some(value <= bar),
            Self::TimesTuned(times) => tuned.map(|tuned| value >= times * tuned),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::AtLeast(bar) => json!({ "at_least": bar }),
            Self::AtMost(bar) => json!({ "at_most": bar }),
            Self::TimesTuned(times) => json!({ "times_tuned": times }),
        }
    }
}

/// One line of the table.
struct Row {
    name: String,
    unit: &'static str,
    /// Whether more is better.
    more: bool,
    values: [Option<f64>; 3],
    bar: Option<Bar>,
    /// Whether the bar is about this size.
    applies: bool,
}

/// All figures of a run.
pub struct Report {
    full: bool,
    machine: String,
    rows: Vec<Row>,
    file: Option<File>,
}

impl Report {
    pub fn new(full: bool) -> Self {
        let machine = machine();
        println!("{machine}; {} sizes", if full { "full" } else { "small" });
        let _there = std::fs::create_dir_all("target");
        let mut report = Self { full, machine, rows: Vec::new(), file: File::create(FILE).ok() };
        let line = json!({ "machine": report.machine, "scale": report.scale() });
        report.json(&line);
        report
    }

    fn scale(&self) -> &'static str {
        if self.full { "full" } else { "small" }
    }

    fn json(&mut self, line: &Value) {
        if let Some(file) = &mut self.file {
            let _full = writeln!(file, "{line}");
        }
    }

    pub fn section(&self, name: &str) {
        println!("\n==> {name}");
    }

    /// Something worth a line, but no figure.
    pub fn note(&self, text: &str) {
        println!("    {text}");
    }

    /// A figure of which more is better.
    pub fn more(&mut self, of: Contender, name: &str, unit: &'static str, value: f64) {
        self.put(of, name, (unit, true), value, None);
    }

    /// A figure of which less is better.
    pub fn less(&mut self, of: Contender, name: &str, unit: &'static str, value: f64) {
        self.put(of, name, (unit, false), value, None);
    }

    /// A figure of Rialto with its bar; `applies` says whether the bar is about this size.
    pub fn barred(
        &mut self,
        name: &str,
        unit: &'static str,
        value: f64,
        (bar, applies): (Bar, bool),
    ) {
        let more = !matches!(bar, Bar::AtMost(_));
        self.put(Contender::Rialto, name, (unit, more), value, Some((bar, applies)));
    }

    fn put(
        &mut self,
        of: Contender,
        name: &str,
        (unit, more): (&'static str, bool),
        value: f64,
        bar: Option<(Bar, bool)>,
    ) {
        println!("    {name}: {} {unit} ({})", shown(value), label(of));
        let mut line = json!({
            "figure": name, "unit": unit, "server": label(of), "value": value,
            "scale": self.scale(),
        });
        if let Some((bar, applies)) = bar {
            line["bar"] = bar.json();
            // Against the peer it is for the table, which knows both.
            let reached = bar.reached(value, None).filter(|_| applies);
            line["reached"] = json!(reached);
        }
        self.json(&line);
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            let values = [None; 3];
            self.rows.push(Row { name, unit, more, values, bar: None, applies: false });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.values[of as usize] = Some(value);
        if let Some((bar, applies)) = bar {
            (row.bar, row.applies) = (Some(bar), applies);
        }
    }

    /// Prints the table.
    pub fn finish(&self) {
        let name = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        println!("\n{}; {} sizes", self.machine, self.scale());
        println!(
            "{:name$}  {:>12}  {:>17}  {:>17}  {:>10}  ",
            "", "Rialto", "peer as it comes", "peer tuned", "bar"
        );
        for row in &self.rows {
            let [rialto, default, tuned] = row.values;
            let own = rialto.map_or(String::new(), |v| format!("{} {}", shown(v), row.unit));
            let bar = match row.bar {
                Some(Bar::AtLeast(bar)) => format!(">= {}", shown(bar)),
                Some(Bar::AtMost(bar)) => format!("<= {}", shown(bar)),
                Some(Bar::TimesTuned(times)) => format!(">= {times}x"),
                None => String::new(),
            };
            let judged = row.bar.zip(rialto).map(|(bar, value)| bar.reached(value, tuned));
            let reached = match judged {
                Some(_) if !row.applies => "(at full size)",
                Some(Some(true)) => "reached",
                Some(Some(false)) => "MISSED",
                Some(None) | None => "",
            };
            let line = format!(
                "{:name$}  {own:>12}  {:>17}  {:>17}  {bar:>10}  {reached}",
                row.name,
                compared(row, default),
                compared(row, tuned),
            );
            println!("{}", line.trim_end());
        }
        println!("(2.0x: Rialto is twice as good. The figures are also in {FILE}.)");
    }
}

/// A peer's value, and how many times better Rialto's is.
fn compared(row: &Row, value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    let ratio = match row.values[0] {
        Some(own) if row.more && value > 0.0 => format!(" ({:.1}x)", own / value),
        Some(own) if !row.more && own > 0.0 => format!(" ({:.1}x)", value / own),
        _ => String::new(),
    };
    format!("{}{ratio}", shown(value))
}

/// Three digits that matter; one more of small ones, so that 2.002 is not shown as 2.
fn shown(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn label(of: Contender) -> &'static str {
    match of {
        Contender::Rialto => "rialto",
        Contender::PeerDefault => "peer-default",
        Contender::PeerTuned => "peer-tuned",
    }
}

/// What the figures were measured on, and how busy it was.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1.to_owned()))
        .unwrap_or_default();
    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    format!(
        "{cores} cores ({cpu}), Linux {}, load {load}",
        read("/proc/sys/kernel/osrelease").trim()
    )
}
