//! A flood of registrations from many addresses, with the server killed in the middle: limits hold to the number, the
//! log has every attempt, and the wave is undone without anybody else. `RONDEL_FLOOD=1000` has it come from a thousand
//! addresses.

mod common;

use std::time::Instant;

use common::people::is_right;
use common::strangers::{OPEN, is_error, register, stranger, stranger_between};
use common::{Raw, Server, rondel};

/// Attempts of an address before the server is killed, and after it.
const ATTEMPTS: usize = 5;

/// Accounts that an address may make in a day.
const PER_DAY: usize = 3;

const THREADS: usize = 8;

fn addresses() -> usize {
    std::env::var("RONDEL_FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

fn address(number: usize) -> String {
    format!("127.77.{}.{}", number / 250, number % 250 + 1)
}

/// Every address tries so often; how many accounts were made.
fn flood(server: &Server, wave: usize) -> usize {
    let to = server.address;
    let one = move |number: usize| {
        let tries = (0..ATTEMPTS).map(|attempt| {
            let mut raw = stranger_between(&address(number), to);
            let answer = register(&mut raw, &format!("bot{number}-{wave}-{attempt}"), "secret");
            let is_made = answer.contains("type='result'");
            assert!(is_made || is_error(&answer, "wait", "policy-violation"), "{answer}");
            usize::from(is_made)
        });
        tries.sum::<usize>()
    };
    std::thread::scope(|scope| {
        let crews: Vec<_> = (0..THREADS)
            .map(|crew| scope.spawn(move || (crew..addresses()).step_by(THREADS).map(one).sum::<usize>()))
            .collect();
        crews.into_iter().map(|crew| crew.join().unwrap()).sum()
    })
}

/// Lines that `rondel registration …` prints.
fn lines(server: &Server, arguments: &[&str]) -> Vec<String> {
    server.rondel_says(&[&["registration"], arguments].concat()).lines().map(str::to_owned).collect()
}

#[test]
fn limits_hold_to_the_number_and_a_wave_is_undone() {
    let per_day = PER_DAY.to_string();
    let more = ["--shards", "2", "--registration-interval", "0", "--registrations-per-day", &per_day];
    let rate = ["--registration-rate", "100000/s", "--scram-iterations", "4096"];
    let flags = [OPEN, &more, &rate].concat();
    let server = Server::start(&flags);
    let began = Instant::now();
    for name in ["romeo", "juliet"] {
        assert!(register(&mut stranger(&server), name, "secret").contains("type='result'"));
    }
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let before = flood(&server, 1);
    assert_eq!(before, PER_DAY * addresses(), "no more than may, and no fewer");
    assert!(romeo.round_trip().contains("type='result'"), "nobody who is there is disturbed");
    let server = server.kill_and_restart(&flags);
    assert_eq!(flood(&server, 2), 0, "a day is not over because the server was killed");
    let attempts = 2 * ATTEMPTS * addresses();
    eprintln!("{attempts} attempts in {:?}", began.elapsed());
    let wave = ["--from-address", "127.77.0.0/16"];
    assert_eq!(lines(&server, &[&["log", "--only", "made"], &wave[..]].concat()).len(), before);
    let refused = lines(&server, &[&["log", "--only", "refused"], &wave[..]].concat());
    assert_eq!(refused.len(), attempts - before);
    assert!(refused.iter().all(|line| line.ends_with("refused: too-many")), "{}", refused[0]);
    let purge = lines(&server, &["purge", "--from-address", "127.77.0.0/16", "--since", "1h", "--yes"]);
    assert_eq!(purge, [format!("{before} accounts removed")]);
    let left = rondel().args(["user", "list", "--data-dir"]).arg(server.data()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "juliet@localhost\nromeo@localhost\n");
    assert!(["juliet", "romeo"].iter().all(|name| is_right(&server, name, "secret")));
}
