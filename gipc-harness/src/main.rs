/// The command: reads the arguments, runs, exits with the verdict.
fn main() {}
