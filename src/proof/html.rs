//! The verdict and the coverage as one page each, without anything fetched from elsewhere.

use super::coverage::Coverage;
use super::variant::Verdicts;
use super::verdict::{Proof, Score};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%;margin:1rem 0}\
th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #ddd}\
th{background:#f4f4f4;position:sticky;top:0}code{font:13px/1.4 ui-monospace,monospace}\
.bad td{background:#fde8e8}.dim{color:#777}p.score{font-size:1.2rem}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th{background:#282828}\
th,td{border-color:#333}.bad td{background:#4a1f1f}}";

/// Text as HTML carries it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>\n\
         <h1>{title}</h1>\n{body}</html>\n"
    )
}

/// A table; rows that are bad are marked.
fn table(heads: &[&str], rows: impl Iterator<Item = (bool, Vec<String>)>) -> String {
    let heads: String = heads.iter().map(|head| format!("<th>{head}")).collect();
    let rows: String = rows
        .map(|(bad, cells)| {
            let class = if bad { " class=\"bad\"" } else { "" };
            let cells: String = cells.iter().map(|cell| format!("<td>{cell}")).collect();
            format!("<tr{class}>{cells}\n")
        })
        .collect();
    format!("<table><thead><tr>{heads}<tbody>\n{rows}</table>\n")
}

fn codes<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let codes: Vec<String> =
        texts.into_iter().map(|text| format!("<code>{}</code>", escape(text))).collect();
    codes.join("<br>")
}

fn score(name: &str, score: Score) -> String {
    format!("{name} <b>{} of {}</b> ({:.1} %)", score.of, score.all, score.percent())
}

impl Proof {
    /// The verdict as a page.
    pub fn html(&self) -> String {
        let mut body = format!(
            "<p class=\"score\">Proven: {}, {}; {}</p>\n",
            score("MUST", self.must),
            score("SHOULD", self.should),
            score("fields noticed", self.fields)
        );
        body.push_str(if self.holds() {
            "<p>Every mutant is noticed or explained.</p>\n"
        } else {
            "<p><b>Not proven.</b></p>\n"
        });
        for defect in &self.defects {
            body.push_str(&format!("<p><b>{}</b></p>\n", escape(defect)));
        }
        body.push_str("<h2>Requirements</h2>\n");
        let rows = self.requirements.iter().map(|requirement| {
            let survivors = codes(&requirement.survivors);
            let id = codes([&requirement.id]);
            let level = requirement.level.to_string();
            let n = format!("{} of {}", requirement.noticed, requirement.mutants.len());
            let by = codes(&requirement.noticed_by);
            (!requirement.proven, vec![id, level, n, by, survivors])
        });
        let heads = ["Requirement", "Level", "Mutants noticed", "By", "Survivors"];
        body.push_str(&table(&heads, rows));
        body.push_str("<h2>Mutants</h2>\n");
        let rows = self.mutants.iter().map(|mutant| {
            let why = mutant.why.as_deref().map(escape).unwrap_or_default();
            let what = format!(
                "{}<br>{}<br><span class=\"dim\">{why}</span>",
                codes([&mutant.id]),
                escape(&mutant.title)
            );
            let met = mutant.cases.iter().map(|met| format!("{} {}", met.outcome, met.case));
            let met = codes(&met.collect::<Vec<_>>());
            let fate = mutant.fate.words().to_owned();
            (mutant.fate.is_bad(), vec![what, fate, codes(&mutant.breaks), met])
        });
        body.push_str(&table(&["Mutant", "Fate", "Breaks", "Cases"], rows));
        page("gridproof: mutants", &body)
    }
}

impl Coverage {
    /// The coverage as a page.
    pub fn html(&self) -> String {
        let share = format!("{:.1} %", self.percent());
        let mut body = format!("<p class=\"score\">Tested of what a case can test: {share}</p>\n");
        let rows = self.areas.iter().map(|area| {
            let cells = [area.all, area.tested, area.untestable, area.untested];
            let mut cells: Vec<String> = cells.iter().map(usize::to_string).collect();
            cells.splice(0..0, [escape(&area.area), area.level.to_string()]);
            cells.push(area.exercised.map_or("–".into(), |n| n.to_string()));
            cells.push(area.broken.map_or("–".into(), |n| n.to_string()));
            (area.broken.is_some_and(|n| n > 0), cells)
        });
        let heads =
            ["Area", "Level", "All", "Tested", "Untestable", "Untested", "Exercised", "Broken"];
        body.push_str(&table(&heads, rows));
        let rows = self.requirements.iter().map(|requirement| {
            let why = requirement.why.as_deref().map(escape).unwrap_or_default();
            let what = format!("{}<br>{}", codes([&requirement.id]), escape(&requirement.text));
            let level = requirement.level.to_string();
            let status = requirement.status.words().to_owned();
            (requirement.broken, vec![what, level, status, codes(&requirement.cases) + &why])
        });
        body.push_str("<h2>Requirements</h2>\n");
        body.push_str(&table(&["Requirement", "Level", "Status", "Cases, or why none"], rows));
        page("gridproof: coverage", &body)
    }
}

impl Verdicts {
    /// The verdicts as a page.
    pub fn html(&self) -> String {
        let wrong = self.0.iter().filter(|verdict| !verdict.holds()).count();
        let score = format!("{wrong} of {} right grids are called wrong", self.0.len());
        let rows = self.0.iter().map(|verdict| {
            let unnamed = verdict.unnamed.iter().map(|id| format!("unnamed {id}"));
            let said = verdict.wrong.iter().map(|case| format!("{} {}", case.outcome, case.id));
            let what = format!("{}<br>{}", codes([&verdict.id]), escape(&verdict.title));
            let why = format!("{} ({})", verdict.right, verdict.source);
            let counts = [verdict.passed, verdict.impossible].map(|n| n.to_string());
            let [passed, impossible] = counts;
            let said: Vec<String> = unnamed.chain(said).collect();
            let breaks = codes(&verdict.breaks);
            let row = vec![what, escape(&why), passed, impossible, breaks, codes(&said)];
            (!verdict.holds(), row)
        });
        let heads =
            ["Variant", "Why it is right", "Pass", "Impossible", "Not held", "Called wrong by"];
        let body = format!("<p class=\"score\">{score}</p>\n{}", table(&heads, rows));
        page("gridproof: right grids that differ", &body)
    }
}
