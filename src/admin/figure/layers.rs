//! Where the nodes of a figure stand: a small layered layout, from the root down.
//!
//! Each node stands in the layer below the lowest that leads to it; an edge that passes layers gets a point in each, so that it goes
//! round what stands there. Within a layer, order and place follow the neighbours. Sizes are in pixels.

use super::Figure;

/// Space between two that stand side by side, and between layers.
const GAP: f64 = 26.0;
const LAYER_GAP: f64 = 46.0;
/// Width that an edge takes where it passes.
const LANE: f64 = 12.0;
/// Sweeps over the layers: more makes it hardly better.
const SWEEPS: usize = 12;

/// A node, or a point where an edge passes a layer.
#[derive(Clone, Debug)]
pub(super) struct Box {
    /// The node's index; `None`: an edge passes.
    pub node: Option<usize>,
    pub width: f64,
    pub height: f64,
    /// Its middle.
    pub x: f64,
    pub y: f64,
    layer: usize,
}

/// An edge, by the boxes that it comes through, its ends included.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub through: Vec<usize>,
    pub label: String,
    /// It goes on after a ringing.
    pub later: bool,
}

/// A figure with a place for everything.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub boxes: Vec<Box>,
    pub lines: Vec<Line>,
    pub width: f64,
    pub height: f64,
}

impl Layout {
    /// `size` gives the width and height of a node.
    pub fn of(figure: &Figure, size: impl Fn(usize) -> (f64, f64)) -> Layout {
        let edges = edges(figure);
        let depth = depths(figure.nodes.len(), &edges);
        let mut layout = Layout::default();
        let mut at = vec![None; figure.nodes.len()];
        for (node, depth) in depth.iter().enumerate() {
            let Some(layer) = *depth else { continue };
            let (width, height) = size(node);
            if let Some(place) = at.get_mut(node) {
                *place = Some(layout.boxes.len());
            }
            layout.boxes.push(Box { node: Some(node), width, height, x: 0.0, y: 0.0, layer });
        }
        for (from, to, label, later) in edges {
            let ends = (at.get(from).copied().flatten(), at.get(to).copied().flatten());
            if let (Some(from), Some(to)) = ends {
                layout.line(from, to, label, later);
            }
        }
        let mut layers = layout.layers();
        layout.order(&mut layers);
        layout.place(&layers);
        layout
    }

    fn line(&mut self, from: usize, to: usize, label: String, later: bool) {
        let layer = |boxes: &[Box], index: usize| boxes.get(index).map_or(0, |b| b.layer);
        let (first, last) = (layer(&self.boxes, from), layer(&self.boxes, to));
        let mut through = vec![from];
        for layer in first + 1..last {
            through.push(self.boxes.len());
            self.boxes.push(Box { node: None, width: LANE, height: 0.0, x: 0.0, y: 0.0, layer });
        }
        through.push(to);
        self.lines.push(Line { through, label, later });
    }

    fn layers(&self) -> Vec<Vec<usize>> {
        let count = self.boxes.iter().map(|b| b.layer + 1).max().unwrap_or(0);
        let mut layers = vec![Vec::new(); count];
        for (index, one) in self.boxes.iter().enumerate() {
            if let Some(layer) = layers.get_mut(one.layer) {
                layer.push(index);
            }
        }
        layers
    }

    /// The neighbours of each box, above and below.
    fn neighbours(&self) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
        let mut above = vec![Vec::new(); self.boxes.len()];
        let mut below = above.clone();
        for pair in self.lines.iter().flat_map(|line| line.through.windows(2)) {
            if let [upper, lower] = *pair {
                if let Some(list) = below.get_mut(upper) {
                    list.push(lower);
                }
                if let Some(list) = above.get_mut(lower) {
                    list.push(upper);
                }
            }
        }
        (above, below)
    }

    /// Each layer in the order of the middle of its neighbours, sweeping down and up.
    fn order(&self, layers: &mut [Vec<usize>]) {
        let (above, below) = self.neighbours();
        let mut rank = vec![0.0; self.boxes.len()];
        let note = |layer: &[usize], rank: &mut Vec<f64>| {
            for (place, index) in layer.iter().enumerate() {
                if let Some(rank) = rank.get_mut(*index) {
                    *rank = as_f64(place);
                }
            }
        };
        layers.iter().for_each(|layer| note(layer, &mut rank));
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let neighbours = if down { &above } else { &below };
            let count = layers.len();
            for step in 0..count {
                let layer = if down { step } else { count - 1 - step };
                let Some(layer) = layers.get_mut(layer) else { continue };
                let mut keyed: Vec<(f64, usize)> =
                    layer.iter().map(|index| (mean(neighbours, *index, &rank), *index)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                *layer = keyed.into_iter().map(|(_, index)| index).collect();
                note(layer, &mut rank);
            }
        }
    }

    fn place(&mut self, layers: &[Vec<usize>]) {
        let (above, below) = self.neighbours();
        let mut y = GAP;
        for layer in layers {
            let height =
                layer.iter().filter_map(|i| self.boxes.get(*i)).map(|b| b.height).fold(0.0, f64::max);
            let mut x = GAP;
            for index in layer {
                if let Some(one) = self.boxes.get_mut(*index) {
                    one.x = x + one.width / 2.0;
                    one.y = y + height / 2.0;
                    x += one.width + GAP;
                }
            }
            y += height + LAYER_GAP;
        }
        for sweep in 0..SWEEPS * 2 {
            let down = sweep % 2 == 0;
            let neighbours = if down { &above } else { &below };
            for step in 0..layers.len() {
                let layer = if down { step } else { layers.len() - 1 - step };
                if let Some(layer) = layers.get(layer) {
                    self.settle(layer, neighbours);
                }
            }
        }
        let left = self.boxes.iter().map(|b| b.x - b.width / 2.0).fold(f64::INFINITY, f64::min);
        let shift = if left.is_finite() { GAP - left } else { 0.0 };
        self.boxes.iter_mut().for_each(|b| b.x += shift);
        self.width = self.boxes.iter().map(|b| b.x + b.width / 2.0).fold(0.0, f64::max) + GAP;
        self.height = y - LAYER_GAP + GAP;
    }

    /// As near to its neighbours as its own layer lets it: runs of boxes that push each other take the middle of what they want.
    fn settle(&mut self, layer: &[usize], neighbours: &[Vec<usize>]) {
        let xs: Vec<f64> = self.boxes.iter().map(|b| b.x).collect();
        // (sum of wanted lefts less offsets, members, width so far, first member)
        let mut runs: Vec<(f64, f64, f64, usize)> = Vec::new();
        for (place, index) in layer.iter().enumerate() {
            let Some(one) = self.boxes.get(*index) else { continue };
            let wanted = mean(neighbours, *index, &xs) - one.width / 2.0;
            let mut run = (wanted, 1.0, one.width + GAP, place);
            while let Some(last) = runs.last().copied() {
                if last.0 / last.1 + last.2 <= run.0 / run.1 {
                    break;
                }
                runs.pop();
                run = (last.0 + run.0 - run.1 * last.2, last.1 + run.1, last.2 + run.2, last.3);
            }
            runs.push(run);
        }
        let ends: Vec<usize> = runs.iter().skip(1).map(|run| run.3).chain([layer.len()]).collect();
        for (run, end) in runs.iter().zip(ends) {
            let mut x = run.0 / run.1;
            for index in layer.get(run.3..end).unwrap_or_default() {
                if let Some(one) = self.boxes.get_mut(*index) {
                    one.x = x + one.width / 2.0;
                    x += one.width + GAP;
                }
            }
        }
    }
}

/// The middle of the neighbours' values; without any, one's own.
fn mean(neighbours: &[Vec<usize>], index: usize, values: &[f64]) -> f64 {
    let own = values.get(index).copied().unwrap_or(0.0);
    let of = neighbours.get(index).map(Vec::as_slice).unwrap_or_default();
    if of.is_empty() {
        return own;
    }
    of.iter().filter_map(|n| values.get(*n)).sum::<f64>() / as_f64(of.len())
}

/// Far below what a float holds exactly.
fn as_f64(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Edges as (from, to, label, after a ringing); several between the same two are one.
fn edges(figure: &Figure) -> Vec<(usize, usize, String, bool)> {
    let mut edges: Vec<(usize, usize, String, bool)> = Vec::new();
    for (from, node) in figure.nodes.iter().enumerate() {
        let asked =
            node.yes.map(|to| (to, "yes", false)).into_iter().chain(node.no.map(|to| (to, "no", false)));
        let after = node.after.iter().map(|(outcome, to)| (*to, outcome.as_str(), true));
        for (to, label, later) in asked.chain(after) {
            let to = to as usize;
            // Edges point to later nodes: what doesn't is no figure of ours, and is not drawn.
            if to <= from || to >= figure.nodes.len() {
                continue;
            }
            match edges.iter_mut().find(|edge| (edge.0, edge.1, edge.3) == (from, to, later)) {
                Some(edge) => edge.2 = format!("{}, {}", edge.2, label.replace('_', " ")),
                None => edges.push((from, to, label.replace('_', " "), later)),
            }
        }
    }
    edges
}

/// The layer of each node that the root leads to.
fn depths(nodes: usize, edges: &[(usize, usize, String, bool)]) -> Vec<Option<usize>> {
    let mut depths = vec![None; nodes];
    if let Some(root) = depths.first_mut() {
        *root = Some(0);
    }
    for from in 0..nodes {
        let Some(depth) = depths.get(from).copied().flatten() else { continue };
        for (_, to, _, _) in edges.iter().filter(|edge| edge.0 == from) {
            if let Some(known) = depths.get_mut(*to) {
                *known = Some(known.unwrap_or(0).max(depth + 1));
            }
        }
    }
    depths
}
