fn main() -> std::process::ExitCode {
    ringtree::cli::main()
}
