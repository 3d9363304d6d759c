//! Where the figures come from.

use serde_json::json;

/// Prints what the machine is, and how busy it was before.
pub fn describe(as_json: bool) {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    if as_json {
        let line =
            json!({ "machine": model, "processors": processors, "kernel": kernel, "load_before": load });
        println!("{line}");
    } else {
        println!("{processors} processors ({model}), Linux {kernel}; load average before: {load}\n");
    }
}

/// Bytes of memory that programs could still get.
pub fn available_bytes() -> u64 {
    let line = line_of("/proc/meminfo", "MemAvailable").unwrap_or_default();
    let kilobytes = line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1_024
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn line_of(path: &str, name: &str) -> Option<String> {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
