//! Runs the simulated AWS as a program, which prints its URL and serves until it is killed.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use simaws::{Options, SimAws, World};

const USAGE: &str = "usage: simaws [--world world.json] [--listen 127.0.0.1:0] [--page-size N] [--latency-ms N] \
                     [--quotas] [--until-stdin-closes]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "simaws: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let server = SimAws::start_blocking_on(arguments.listen, arguments.world)
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    server.set_options(arguments.options);
    writeln!(io::stdout(), "{}", server.url()).map_err(|error| format!("cannot write to stdout: {error}"))?;
    if arguments.until_stdin_closes {
        return io::stdin().read_to_end(&mut Vec::new()).map(drop).map_err(|error| error.to_string());
    }
    loop {
        std::thread::park();
    }
}

struct Arguments {
    world: World,
    listen: SocketAddr,
    options: Options,
    until_stdin_closes: bool,
}

impl Arguments {
    fn read(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (world, options) = (World::default(), Options::default());
        let mut read = Self { world, listen, options, until_stdin_closes: false };
        while let Some(flag) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{flag} needs a value\n{USAGE}"));
            match flag.as_str() {
                "--world" => read.world = world_file(&value()?)?,
                "--listen" => read.listen = parsed(&flag, &value()?)?,
                "--page-size" => read.options.page_size = Some(parsed(&flag, &value()?)?),
                "--latency-ms" => read.options.latency = Duration::from_millis(parsed(&flag, &value()?)?),
                "--quotas" => read.options.quotas = true,
                "--until-stdin-closes" => read.until_stdin_closes = true,
                _ => return Err(format!("unknown argument {flag}\n{USAGE}")),
            }
        }
        Ok(read)
    }
}

fn world_file(path: &str) -> Result<World, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    World::from_json(&text).map_err(|error| format!("{path}: {error}"))
}

fn parsed<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("invalid value {value:?} for {flag}\n{USAGE}"))
}
