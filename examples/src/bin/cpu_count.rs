//! Prints the number of usable CPUs, respecting affinity and cgroup limits.

fn main() {
    println!("{} usable CPUs", crossproc::cpu_count());
}
