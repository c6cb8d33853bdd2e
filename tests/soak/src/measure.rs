//! Whether the program grows: memory, file descriptors, threads and series of its last life, over its publications.

use std::fs;

use crate::history::Violation;

/// The share of the samples, at the start, that count as warm-up.
const WARM_UP: f64 = 0.3;

/// The fewest samples that a slope is made of.
const FEWEST: usize = 4;

/// A quantity, its unit, and by how much it may grow from the first sample to the last: buffers and pools have no fixed
/// size, and few samples vary.
struct Quantity {
    name: &'static str,
    of: fn(&Sample) -> f64,
    most: f64,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity { name: "RSS in KiB", of: |sample| sample.resident, most: 6144.0 },
    Quantity { name: "file descriptors", of: |sample| sample.descriptors, most: 24.0 },
    Quantity { name: "threads", of: |sample| sample.threads, most: 8.0 },
    Quantity { name: "series", of: |sample| sample.series, most: 0.5 },
];

/// The size of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    publications: f64,
    resident: f64,
    descriptors: f64,
    threads: f64,
    series: f64,
}

impl Sample {
    /// Measures the process after this number of publications.
    pub(crate) fn of(process: u32, publications: u64, series: usize) -> Result<Self, Violation> {
        let failed = |error: std::io::Error| Violation::general(format!("process {process}: {error}"));
        let status = fs::read_to_string(format!("/proc/{process}/status")).map_err(failed)?;
        let member = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).map_err(failed)?.count();
        Ok(Self {
            publications: publications as f64,
            resident: member("VmRSS").unwrap_or_default(),
            descriptors: descriptors as f64,
            threads: member("Threads").unwrap_or_default(),
            series: series as f64,
        })
    }
}

/// The samples of one life.
#[derive(Default)]
pub(crate) struct Measured(Vec<Sample>);

impl Measured {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns whether there are enough samples.
    pub(crate) fn is_enough(&self) -> bool {
        self.warm().len() >= FEWEST
    }

    fn warm(&self) -> &[Sample] {
        let cold = (self.0.len() as f64 * WARM_UP).ceil() as usize;
        &self.0[cold..]
    }

    /// Returns the slopes in words, each with the range of its samples, and whether all are flat.
    pub(crate) fn slopes(&self) -> (String, bool) {
        let warm = self.warm();
        let (Some(first), Some(last)) = (warm.first(), warm.last()) else { return ("no samples".to_owned(), true) };
        let range = last.publications - first.publications;
        let mut flat = true;
        let each = QUANTITIES.map(|Quantity { name, of, most }| {
            let slope = slope(&warm.iter().map(|sample| (sample.publications, of(sample))).collect::<Vec<_>>());
            flat &= slope * range <= most;
            let of_warm = || warm.iter().map(of);
            let (least, largest) = (of_warm().fold(f64::MAX, f64::min), of_warm().fold(f64::MIN, f64::max));
            format!("{name} {:+.2} ({least} to {largest})", slope * 1000.0)
        });
        let samples = warm.len();
        let slopes = each.join(", ");
        (format!("slope per 1,000 publications over {range} publications, {samples} samples: {slopes}"), flat)
    }
}

/// Returns the slope of a line by least squares; 0 for a single point.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (mean_x, mean_y) =
        points.iter().fold((0.0, 0.0), |(sum_x, sum_y), (x, y)| (sum_x + x / count, sum_y + y / count));
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), (x, y)| {
        (above + (x - mean_x) * (y - mean_y), below + (x - mean_x) * (x - mean_x))
    });
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_is_that_of_the_nearest_line() {
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), 2.0);
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 1.0)]), 0.0);
        assert_eq!(slope(&[(5.0, 1.0)]), 0.0);
    }

    #[test]
    fn steady_growth_is_not_flat() {
        let sample = |n: usize, resident: f64| Sample {
            publications: (n * 50) as f64,
            resident,
            descriptors: 20.0,
            threads: 3.0,
            series: 100.0,
        };
        let measured = |grows: f64| Measured((0..10).map(|n| sample(n, 40_000.0 + n as f64 * grows)).collect());
        assert!(measured(100.0).slopes().1 && !measured(2000.0).slopes().1);
    }
}
