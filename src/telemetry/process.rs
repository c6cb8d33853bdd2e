//! Process metrics from /proc, under the names that Prometheus clients use.

use std::fmt;

use procfs::WithCurrentSystemInfo;
use procfs::process::Process as Linux;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads the values at every scrape.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Without /proc there are only the other metrics.
        let Ok(process) = Linux::myself() else { return Ok(()) };
        let Ok(stat) = process.stat() else { return Ok(()) };
        let ticks = procfs::ticks_per_second() as f64;
        let cpu = ConstCounter::new((stat.utime + stat.stime) as f64 / ticks);
        put(&mut encoder, "process_cpu_seconds", "CPU time used", &cpu)?;
        put(
            &mut encoder,
            "process_resident_memory_bytes",
            "Resident memory",
            &ConstGauge::new(stat.rss_bytes().get() as f64),
        )?;
        put(&mut encoder, "process_virtual_memory_bytes", "Virtual memory", &ConstGauge::new(stat.vsize as f64))?;
        if let Ok(booted) = procfs::boot_time_secs() {
            let started = booted as f64 + stat.starttime as f64 / ticks;
            put(&mut encoder, "process_start_time_seconds", "When the process started", &ConstGauge::new(started))?;
        }
        if let Ok(open) = process.fd_count() {
            put(&mut encoder, "process_open_fds", "Open file descriptors", &ConstGauge::new(open as f64))?;
        }
        Ok(())
    }
}

fn put(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}
