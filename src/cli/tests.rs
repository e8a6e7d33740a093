//! Flags as an operator types them.

use super::*;

/// Parses flags of `rondel serve`.
pub(crate) fn serve(flags: &str) -> ServeOptions {
    match parse(words(&format!("serve {flags}"))).unwrap().action {
        Action::Serve(options) => *options,
        other => panic!("{other:?}"),
    }
}

/// The line that a mistake is told in.
pub(crate) fn usage(arguments: &str) -> String {
    match parse(words(arguments)).unwrap_err() {
        Mistake::Usage(line) => line,
        other => panic!("{other:?}"),
    }
}

fn words(arguments: &str) -> Vec<OsString> {
    std::iter::once("rondel").chain(arguments.split_whitespace()).map(OsString::from).collect()
}

#[test]
fn a_wrong_value_names_the_flag_the_value_and_what_would_be_right() {
    for (arguments, line) in [
        (
            "serve --max-stanza-size 12q",
            "--max-stanza-size: \"12q\" is wrong; right would be a size from 10kB to 16MiB, such as 10kB",
        ),
        ("serve --shards 0", "--shards: \"0\" is wrong; right would be a whole number from 1 to 1024"),
        ("serve --domain a..b", "--domain: \"a..b\" is wrong; right would be a domain, such as example.org"),
        ("serve --listen ::1", "--listen: \"::1\" is wrong; right would be an address with a port: [::1]:5222"),
        (
            "serve --resource-conflict kill",
            "--resource-conflict: \"kill\" is wrong; right would be replace, refuse, rename",
        ),
        (
            "serve --sasl-mechanisms PLAIN,LOGIN",
            "--sasl-mechanisms: \"LOGIN\" is wrong; right would be SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN",
        ),
        (
            "serve --log-level loud",
            "--log-level: \"loud\" is wrong; right would be levels (off, error, warn, info, debug or trace), such as \
             info or info,session=debug",
        ),
        ("serve --log-addresses maybe", "--log-addresses: \"maybe\" is wrong; right would be on or off"),
        ("serve --shards", "--shards needs a value"),
        ("serve --domian a.org", "there is no flag --domian; did you mean --domain?"),
        ("serve --dev=often", "--dev takes no value \"often\""),
        ("serve now", "nothing is expected where it says now"),
        ("serv", "there is no subcommand \"serv\"; did you mean serve?; rondel help lists them"),
        ("user add", "<JID> is missing"),
        (
            "user show a.org",
            "<JID>: \"a.org\" is wrong; right would be the address of an account, such as juliet@example.org",
        ),
        (
            "user list --after a@b@c",
            "--after: \"a@b@c\" is wrong; right would be the address of an account, such as juliet@example.org",
        ),
        (
            "log set loud",
            "<LEVELS>: \"loud\" is wrong; right would be levels (off, error, warn, info, debug or trace), such as info \
             or info,session=debug",
        ),
        ("user add a@b --password-stdin --generate", "--password-stdin and --generate exclude each other"),
    ] {
        assert_eq!(usage(arguments), line);
    }
}

#[test]
fn a_wrong_value_from_a_file_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flags");
    std::fs::write(&file, "--dev\n--spin 1q\n").unwrap();
    let line = usage(&format!("serve @{}", file.display()));
    let expected = "--spin: \"1q\" is wrong; right would be a duration from 0 to 1ms, such as 50us";
    assert_eq!(line, format!("{}:2: {expected}", file.display()));
    std::fs::write(&file, "\n--domian a.org\n").unwrap();
    let line = usage(&format!("serve @{}", file.display()));
    assert_eq!(line, format!("{}:2: there is no flag --domian; did you mean --domain?", file.display()));
}

#[test]
fn the_last_of_two_counts_and_lists_grow() {
    let options = serve("--dev --spin 10us --domain a.org,b.org --spin 20us --domain c.org --log-addresses off");
    assert_eq!(options.spin, std::time::Duration::from_micros(20));
    assert_eq!(options.domain, ["a.org", "b.org", "c.org"]);
    assert!(!options.log_addresses);
}

#[test]
fn help_and_version_are_no_mistakes() {
    for arguments in ["", "help", "--help", "--version", "serve --help", "user", "user add --help", "log"] {
        assert!(matches!(parse(words(arguments)), Err(Mistake::Asked(_))), "{arguments}");
    }
}

#[test]
fn the_definition_is_sound() {
    Command::command().debug_assert();
}
