//! The program: command line in, exit code out.

fn main() -> std::process::ExitCode {
    satchel::cli::main()
}
