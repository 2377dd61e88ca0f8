//! A figure as an SVG picture, by itself: no script, no font, nothing to load.

use super::layers::{Layout, Line};
use super::{Figure, Shown};
use std::fmt::Write as _;

/// Characters of a line of a node.
const LINE_CHARS: usize = 30;
const CHAR_WIDTH: f64 = 7.0;
const LINE_HEIGHT: f64 = 16.0;
const PADDING: f64 = 10.0;
const LABEL_CHAR_WIDTH: f64 = 5.6;
const LABEL_HEIGHT: f64 = 12.0;
const HEADING: f64 = 44.0;
const HEADING_CHAR_WIDTH: f64 = 9.0;

const STYLE: &str = "text{font:12px 'Helvetica Neue',Arial,sans-serif;fill:#1c2733}\
.at{font-size:10px;fill:#6b7885}.edge{font-size:11px;fill:#3f4d5a;paint-order:stroke;stroke:#fff;stroke-width:4px}\
.head{font-size:17px;font-weight:600}path{fill:none;stroke:#8593a0;stroke-width:1.4}\
.later{stroke-dasharray:5 4}rect{stroke-width:1.3}\
.ask{fill:#eef4fb;stroke:#7aa3cf}.ring{fill:#e7f6ea;stroke:#5fae72}.refuse{fill:#fdeaea;stroke:#d67a7a}\
.go{fill:#fdf4e1;stroke:#d9a945}.end{fill:#f1f3f5;stroke:#9aa5b0}";

impl Figure {
    /// `What becomes of a call to 101, after at most 12 questions (generation 3)`.
    fn heading(&self) -> String {
        let Figure { of, generation, questions_max: most, .. } = self;
        let plural = if *most == 1 { "" } else { "s" };
        let folded = if self.folded { ", with what the user has set" } else { "" };
        format!(
            "What becomes of a call to {of}, after at most {most} question{plural}{folded} (generation {generation})"
        )
    }

    /// As a picture: questions blue, ringing green, forwards yellow, refusals red; dashed is what follows a ringing.
    #[must_use]
    pub fn svg(&self) -> String {
        let texts: Vec<Vec<String>> = self.nodes.iter().map(|node| wrap(&node.says)).collect();
        let size = |node: usize| {
            let lines = texts.get(node).map(Vec::as_slice).unwrap_or_default();
            let at = self.nodes.get(node).map_or(0, |node| node.at.chars().count());
            let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
            let width = (count(longest) * CHAR_WIDTH).max(count(at) * 5.6) + 2.0 * PADDING;
            let rows = lines.len() + usize::from(at > 0);
            (width, count(rows) * LINE_HEIGHT + 2.0 * PADDING - 4.0)
        };
        let layout = Layout::of(self, size);
        let heading = count(self.heading().chars().count()) * HEADING_CHAR_WIDTH + 52.0;
        let (width, height) = (layout.width.max(heading), layout.height + HEADING);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<title>{0}</title>\n<style>{STYLE}</style>\n\
             <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" style=\"fill:#8593a0;stroke:none\"/></marker></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text class=\"head\" x=\"26\" y=\"32\">{0}</text>\n\
             <g transform=\"translate(0 {HEADING})\">\n",
            escape(&self.heading()),
        );
        layout.lines.iter().for_each(|line| draw_line(&mut out, &layout, line));
        for one in &layout.boxes {
            let Some((index, node)) = one.node.and_then(|index| Some((index, self.nodes.get(index)?))) else {
                continue;
            };
            let lines = texts.get(index).map(Vec::as_slice).unwrap_or_default();
            draw_node(&mut out, node, lines, (one.x, one.y, one.width, one.height));
        }
        // Over the lines and boxes, so that no label is hidden.
        for (line, (x, y)) in layout.lines.iter().zip(label_places(&layout)) {
            let label = escape(&line.label);
            let _ = writeln!(
                out,
                "<text class=\"edge\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                y + 4.0
            );
        }
        out.push_str("</g>\n</svg>\n");
        out
    }
}

fn draw_node(out: &mut String, node: &Shown, lines: &[String], (x, y, width, height): (f64, f64, f64, f64)) {
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    let _ = writeln!(
        out,
        "<rect class=\"{}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"6\"/>",
        class(node)
    );
    let mut baseline = top + PADDING + 10.0;
    for line in lines {
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{baseline:.1}\" text-anchor=\"middle\">{}</text>",
            escape(line)
        );
        baseline += LINE_HEIGHT;
    }
    if !node.at.is_empty() {
        let at = escape(&node.at);
        let _ = writeln!(
            out,
            "<text class=\"at\" x=\"{x:.1}\" y=\"{baseline:.1}\" text-anchor=\"middle\">{at}</text>"
        );
    }
}

fn class(node: &Shown) -> &'static str {
    let says = node.says.as_str();
    match () {
        () if node.yes.is_some() || node.no.is_some() => "ask",
        () if says.starts_with("ring") => "ring",
        () if says.starts_with("refuse") => "refuse",
        () if says.starts_with("forward") || says.starts_with("to ") => "go",
        () => "end",
    }
}

fn draw_line(out: &mut String, layout: &Layout, line: &Line) {
    let points = points(layout, line);
    let Some(((x, y), rest)) = points.split_first() else { return };
    let class = if line.later { " class=\"later\"" } else { "" };
    let _ = write!(out, "<path{class} marker-end=\"url(#tip)\" d=\"M{x:.1} {y:.1}");
    let (mut px, mut py) = (*x, *y);
    for (x, y) in rest {
        let middle = f64::midpoint(py, *y);
        let _ = write!(out, " C{px:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}");
        (px, py) = (*x, *y);
    }
    out.push_str("\"/>\n");
}

/// From the lower side of the first box to the upper side of the last.
fn points(layout: &Layout, line: &Line) -> Vec<(f64, f64)> {
    let last = line.through.len().saturating_sub(1);
    let mut points = Vec::new();
    for (place, index) in line.through.iter().enumerate() {
        let Some(one) = layout.boxes.get(*index) else { continue };
        points.push(if place == 0 {
            (one.x + aside(layout, line) * one.width, one.y + one.height / 2.0)
        } else if place == last {
            (one.x, one.y - one.height / 2.0)
        } else {
            (one.x, one.y)
        });
    }
    points
}

/// Where a line leaves its box, in widths from the middle: of yes and no, on the left the one that goes further left, so that they
/// don't cross.
fn aside(layout: &Layout, line: &Line) -> f64 {
    let answer = |line: &Line| matches!(line.label.as_str(), "yes" | "no");
    if !answer(line) {
        return 0.0;
    }
    let next = |line: &Line| Some(layout.boxes.get(*line.through.get(1)?)?.x);
    let siblings = layout.lines.iter().filter(|one| one.through.first() == line.through.first());
    let other = siblings.filter(|one| answer(one) && one.label != line.label).find_map(next);
    let left = match (next(line), other) {
        (Some(here), Some(there)) => here < there,
        _ => line.label == "yes",
    };
    if left { -0.2 } else { 0.2 }
}

/// The middle of each line's label, on the line: near the upper end, but of what follows a ringing near the lower, since those lines leave
/// from one point; where another label lies already, further along.
fn label_places(layout: &Layout) -> Vec<(f64, f64)> {
    const ANSWER: [f64; 5] = [0.30, 0.38, 0.46, 0.54, 0.22];
    const LATER: [f64; 7] = [0.75, 0.66, 0.58, 0.50, 0.42, 0.34, 0.84];
    let mut places: Vec<(f64, f64)> = Vec::new();
    for line in &layout.lines {
        let points = points(layout, line);
        let (Some(from), Some(to)) = (points.first(), points.get(1)) else {
            places.push((0.0, 0.0));
            continue;
        };
        let along: &[f64] = if line.later { &LATER } else { &ANSWER };
        let free = |place: &(f64, f64)| {
            let others = layout.lines.iter().zip(&places);
            others.into_iter().all(|(other, there)| {
                let apart = LABEL_CHAR_WIDTH * (chars(line) + chars(other)) / 2.0;
                (place.0 - there.0).abs() >= apart || (place.1 - there.1).abs() >= LABEL_HEIGHT
            })
        };
        let mut candidates = along.iter().map(|t| on_curve(*from, *to, *t));
        let first = candidates.clone().next().unwrap_or(*from);
        places.push(candidates.find(free).unwrap_or(first));
    }
    places
}

fn chars(line: &Line) -> f64 {
    count(line.label.chars().count() + 1)
}

/// A point of the curve that leaves and arrives upright, as [`draw_line`] draws it: at 0 its beginning, at 1 its end.
fn on_curve((x, y): (f64, f64), (to_x, to_y): (f64, f64), t: f64) -> (f64, f64) {
    let across = t * t * (3.0 - 2.0 * t);
    let down = t * (1.5 - 1.5 * t + t * t);
    (x + (to_x - x) * across, y + (to_y - y) * down)
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < LINE_CHARS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no place for control characters.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Far below what a float holds exactly.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u32, says: &str, yes: Option<u32>, no: Option<u32>) -> Shown {
        Shown { id, says: says.into(), yes, no, ..Shown::default() }
    }

    fn figure() -> Figure {
        let ring = Shown {
            at: "users/101.toml:3:1".into(),
            after: vec![("busy".into(), 4), ("no_answer".into(), 4)],
            ..node(3, "ring by rule `Open <day>`", None, None)
        };
        let nodes = vec![
            node(0, "on the block list?", Some(1), Some(2)),
            node(1, "refuse: blocked", None, None),
            node(2, "do not disturb, by status?", Some(4), Some(3)),
            ring,
            node(4, "mailbox", None, None),
        ];
        Figure { of: "101".into(), generation: 3, nodes, ..Figure::default() }
    }

    #[test]
    fn every_node_is_drawn_once_inside_the_picture_and_names_are_escaped() {
        let svg = figure().svg();
        assert_eq!(svg.matches("<rect class=").count(), 5);
        assert!(svg.contains("`Open &lt;day&gt;`") && svg.contains("users/101.toml:3:1"), "{svg}");
        // Two outcomes that lead to the same place are one line.
        assert!(svg.contains(">busy, no answer</text>"), "{svg}");
    }

    #[test]
    fn the_heading_is_a_sentence() {
        let figure = Figure { questions_max: 1, ..figure() };
        let said = "What becomes of a call to 101, after at most 1 question (generation 3)";
        assert_eq!(figure.svg().matches(said).count(), 2, "the title, and the text");
        assert!(Figure { folded: true, ..figure }.svg().contains("1 question, with what the user has set"));
    }

    #[test]
    fn yes_and_no_of_a_question_don_t_cross_where_they_leave() {
        let layout = Layout::of(&figure(), |_| (100.0, 40.0));
        let mut pairs = 0;
        for (index, a) in layout.lines.iter().enumerate() {
            for b in layout.lines.iter().skip(index + 1).filter(|b| b.through[0] == a.through[0]) {
                let (a, b) = (points(&layout, a), points(&layout, b));
                assert_eq!(a[0].0 < b[0].0, a[1].0 < b[1].0, "{a:?} {b:?}");
                pairs += 1;
            }
        }
        assert_eq!(pairs, 2, "the figure asks two questions");
    }

    #[test]
    fn boxes_of_a_layer_don_t_overlap_and_edges_go_down() {
        let layout = Layout::of(&figure(), |_| (100.0, 40.0));
        for (index, a) in layout.boxes.iter().enumerate() {
            for b in layout.boxes.iter().skip(index + 1) {
                let apart = (a.x - b.x).abs() >= f64::midpoint(a.width, b.width);
                assert!((a.y - b.y).abs() > 1.0 || apart, "{a:?} {b:?}");
            }
            assert!(a.x >= a.width / 2.0 && a.x + a.width / 2.0 <= layout.width);
        }
        for line in &layout.lines {
            let ys: Vec<f64> = line.through.iter().map(|index| layout.boxes[*index].y).collect();
            assert!(ys.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn labels_of_lines_that_meet_don_t_cover_each_other() {
        let ring = |id, says: &str| Shown {
            after: vec![("declined".into(), 3), ("no_answer".into(), 4), ("offline".into(), 4)],
            ..node(id, says, None, None)
        };
        let nodes = vec![
            node(0, "from outside, to be screened?", Some(1), Some(2)),
            ring(1, "ring by rule `Open`, after screening"),
            ring(2, "ring by rule `Open`"),
            node(3, "mailbox, after declined", None, None),
            node(4, "forward.no_answer to user:reception", None, None),
        ];
        let layout = Layout::of(&Figure { of: "101".into(), nodes, ..Figure::default() }, |_| (160.0, 40.0));
        let places = label_places(&layout);
        assert_eq!(places.len(), 6);
        for (index, a) in places.iter().enumerate() {
            for (other, b) in places.iter().enumerate().skip(index + 1) {
                let width = 5.0 * (chars(&layout.lines[index]) + chars(&layout.lines[other])) / 2.0;
                assert!((a.0 - b.0).abs() >= width || (a.1 - b.1).abs() >= 11.0, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_figure_that_is_none_of_ours_is_drawn_without_harm() {
        let nodes = vec![node(0, "round?", Some(0), Some(9)), node(1, "", None, None)];
        assert!(Figure { of: "x".into(), nodes, ..Figure::default() }.svg().contains("round?"));
        assert!(Figure { of: "x".into(), ..Figure::default() }.svg().ends_with("</svg>\n"));
    }
}
