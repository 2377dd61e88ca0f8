#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    ringtree::cli::main()
}
