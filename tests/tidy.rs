//! A test of the repository itself: what its files may contain, how long they may be, and that nothing in them is dead.
//!
//! Every rule reports all places at once, as `file:line: what is wrong`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const LINE_CHARACTERS_MAX: usize = 120;
const FILE_LINES_MAX: usize = 600;

/// Folders that are not the project's own text.
const SKIPPED: [&str; 6] = ["target", ".git", "data", "node_modules", "corpus", "artifacts"];

/// A file with its path from the repository's root.
struct File {
    path: String,
    text: String,
}

impl File {
    /// Lines with their numbers, without what stands in comments; `None` for lines of tests.
    fn code(&self) -> Vec<(usize, Option<String>)> {
        let mut in_tests = self.is_test();
        let mut pending = false;
        let mut lines = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            let is_test = in_tests || pending || line.trim() == "#[cfg(test)]";
            lines.push((index + 1, (!is_test).then(|| uncommented(line).to_owned())));
            if line == "#[cfg(test)]" {
                pending = true;
            } else if pending && !line.starts_with('#') {
                // An item for tests: one line, or up to its closing brace in the first column.
                pending = false;
                in_tests |= !line.ends_with(';');
            } else if in_tests && !self.is_test() && line == "}" {
                in_tests = false;
            }
        }
        lines
    }

    fn is_test(&self) -> bool {
        let folder =
            |name: &str| self.path.starts_with(&format!("{name}/")) || self.path.contains(&format!("/{name}/"));
        folder("tests") || folder("benches") || folder("fuzz") || self.path.ends_with("/tests.rs")
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// A line up to its comment. A `//` in a text is taken for one, too; a rule that needs to know better looks itself.
fn uncommented(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All text files.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !SKIPPED.contains(&name) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push(File { path: path.strip_prefix(root()).unwrap().to_str().unwrap().into(), text });
            }
        }
    }
    assert!(files.len() > 50, "the repository was not found");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn rust() -> impl Iterator<Item = File> {
    files().into_iter().filter(File::is_rust)
}

/// Fails with all places.
fn report(places: Vec<String>) {
    assert!(places.is_empty(), "\n{}\n", places.join("\n"));
}

/// Places in code, tests aside, that a rule objects to.
fn places_in_code(files: impl Iterator<Item = File>, objection: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut places = Vec::new();
    for file in files {
        for (number, line) in file.code() {
            if let Some(wrong) = line.and_then(|line| objection(&line)) {
                places.push(format!("{}:{number}: {wrong}", file.path));
            }
        }
    }
    places
}

/// Whether a word stands in a line on its own.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
}

#[test]
fn lines_and_files_are_short() {
    let mut places = Vec::new();
    for file in files() {
        let is_script = file.path == "Makefile" || file.text.starts_with("#!");
        if !file.is_rust() && !is_script {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let length = line.chars().count();
            if length > LINE_CHARACTERS_MAX {
                places.push(format!("{}:{}: {length} characters; {LINE_CHARACTERS_MAX} at most", file.path, index + 1));
            }
            if line.ends_with(' ') {
                places.push(format!("{}:{}: a blank at the end", file.path, index + 1));
            }
        }
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            places.push(format!("{}: {lines} lines; {FILE_LINES_MAX} at most, one subject each", file.path));
        }
    }
    report(places);
}

#[test]
fn nothing_is_left_to_be_done() {
    let banned = [
        ("todo!", "write it"),
        ("unimplemented!", "write it"),
        ("dbg!", "take it out"),
        ("FIXME", "mend it"),
        ("XXX", "mend it"),
        ("#[ignore", "a test that does not run is none"),
    ];
    let mut places = Vec::new();
    for file in rust().filter(|file| file.path != "tests/tidy.rs") {
        for (index, line) in file.text.lines().enumerate() {
            for (word, instead) in banned.iter().filter(|(word, _)| line.contains(word)) {
                places.push(format!("{}:{}: {word}: {instead}", file.path, index + 1));
            }
        }
    }
    report(places);
}

#[test]
fn nothing_panics_on_purpose_without_a_stated_invariant() {
    let mut places = Vec::new();
    for file in rust() {
        let lines: Vec<_> = file.text.lines().collect();
        for (number, line) in file.code() {
            let Some(line) = line else { continue };
            let panics = [".unwrap()", ".expect(", "panic!(", ".unwrap_err()", ".expect_err("];
            let stated = number >= 2
                && lines[..number - 1]
                    .iter()
                    .rev()
                    .map(|line| line.trim())
                    .take_while(|line| line.starts_with("//"))
                    .any(|line| line.starts_with("// Invariant: "));
            if panics.iter().any(|panic| line.contains(panic)) && !stated {
                places.push(format!(
                    "{}:{number}: may panic; handle it, or state above why it cannot happen (// Invariant: …)",
                    file.path
                ));
            }
        }
    }
    report(places);
}

#[test]
fn output_is_for_the_command_line_and_logging_for_the_server() {
    let server =
        rust().filter(|file| file.is_in(&["src/", "shards/", "storage/"]) && !file.is_in(&["src/cli/", "src/main.rs"]));
    report(places_in_code(server, |line| {
        let printing = ["print!", "println!", "eprint!", "eprintln!"];
        printing.iter().any(|word| has_word(line, word)).then(|| "prints; log it with tracing".into())
    }));
}

#[test]
fn the_executor_library_is_named_in_one_crate_only() {
    let mut places = Vec::new();
    for file in files() {
        // The load tool has a bare relay on it, to compare with.
        let may_name_it = file.is_in(&["shards/", "perf/Cargo.toml", "perf/src/relay/", "tests/tidy.rs"]);
        if (!file.is_rust() && !file.path.ends_with("Cargo.toml")) || may_name_it {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            if line.contains("glommio") {
                places.push(format!(
                    "{}:{}: names glommio; only shards/ may, so that it can be replaced",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    report(places);
}

#[test]
fn the_project_description_lists_the_xeps_of_the_page() {
    /// The numbers that stand behind `mark`.
    fn numbers(text: &str, mark: &str) -> BTreeSet<String> {
        text.split(mark).skip(1).map(|behind| behind.chars().take_while(char::is_ascii_digit).collect()).collect()
    }
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let page = read("docs/protocols.md");
    let rows: String = page.lines().filter(|line| line.starts_with('|')).collect();
    let (listed, described) = (numbers(&rows, "| XEP-"), numbers(&read("docs/rondel.doap"), "/xep-"));
    assert!(!listed.is_empty());
    assert_eq!(listed, described, "docs/protocols.md, and docs/rondel.doap");
}

/// Of each XEP the version that it was written by, and how much of it is there.
#[test]
fn the_project_description_says_which_versions() {
    let description = fs::read_to_string(root().join("docs/rondel.doap")).unwrap();
    let value = |entry: &str, name: &str| {
        let (_, rest) = entry.split_once(&format!("<xmpp:{name}>"))?;
        rest.split('<').next().map(str::to_owned)
    };
    let is_version = |text: &String| text.contains('.') && text.split('.').all(|part| part.parse::<u32>().is_ok());
    let mut places = Vec::new();
    for entry in description.split("<xmpp:SupportedXep>").skip(1) {
        let xep = entry.split("/xep-").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or("?");
        if !value(entry, "version").as_ref().is_some_and(is_version) {
            places.push(format!("docs/rondel.doap: XEP-{xep} has no version"));
        }
        match value(entry, "status").as_deref() {
            Some("complete") => {}
            Some("partial") if entry.contains("<xmpp:note") => {}
            Some("partial") => places.push(format!("docs/rondel.doap: XEP-{xep} does not say what is missing")),
            _ => places.push(format!("docs/rondel.doap: XEP-{xep} has no status")),
        }
    }
    report(places);
}

#[test]
fn unsafe_code_is_in_one_crate_only() {
    let others = rust().filter(|file| !file.is_in(&["shards/", "tests/tidy.rs"]));
    report(places_in_code(others, |line| {
        has_word(line, "unsafe").then(|| "unsafe code; only shards/ may have it".into())
    }));
}

#[test]
fn dependencies_point_down() {
    let mut places = Vec::new();
    for (folder, unknown) in [
        ("shards/", ["rondel_storage", "rondel::", "rondel_perf"].as_slice()),
        ("storage/", ["rondel_shards", "rondel::", "rondel_perf"].as_slice()),
        ("perf/", ["rondel_storage", "rondel_shards", "rondel::"].as_slice()),
        ("src/xml/", ["crate::account", "crate::stream", "crate::cli", "crate::admin", "crate::sasl"].as_slice()),
        ("src/account/", ["crate::cli", "crate::muc", "crate::federation"].as_slice()),
        ("src/logging/", ["crate::cli", "crate::admin", "crate::stream"].as_slice()),
        ("src/certificates/", ["crate::cli", "crate::admin", "crate::stream"].as_slice()),
        ("src/admin/", ["crate::cli"].as_slice()),
    ] {
        let upward = |line: &str| {
            let found = unknown.iter().find(|name| line.contains(*name));
            found.map(|name| format!("{name}: this folder must not know of it"))
        };
        places.extend(places_in_code(rust().filter(|file| file.path.starts_with(folder)), upward));
    }
    report(places);
}

#[test]
fn every_file_says_first_what_it_is_about() {
    let untold = rust().filter(|file| {
        let mut lines = file.text.lines().skip_while(|line| line.starts_with("#!"));
        !lines.next().is_some_and(|line| line.starts_with("//! "))
    });
    report(untold.map(|file| format!("{}: begins without a //! paragraph", file.path)).collect());
}

#[test]
fn no_file_is_dead() {
    let all: Vec<_> = rust().collect();
    let declared: BTreeSet<PathBuf> = all.iter().flat_map(|file| modules(file, &all)).collect();
    let dead = all.iter().filter(|file| !is_root(file) && !declared.contains(Path::new(&file.path)));
    report(dead.map(|file| format!("{}: no mod statement names it", file.path)).collect());
}

/// Files that cargo finds by itself.
fn is_root(file: &File) -> bool {
    let path = Path::new(&file.path);
    let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["lib.rs", "main.rs", "build.rs"].contains(&name)
        || ["tests", "benches", "examples", "bin", "fuzz_targets"].contains(&parent)
            && name != "mod.rs"
            && !file.path.contains("src/")
}

/// The files that a file's `mod` statements name.
fn modules(file: &File, all: &[File]) -> Vec<PathBuf> {
    let path = Path::new(&file.path);
    let folder = path.parent().unwrap();
    let stem = path.file_stem().unwrap();
    let own = if is_root(file) || stem == "mod" { folder.to_owned() } else { folder.join(stem) };
    let mut modules = Vec::new();
    let mut given_path = None;
    for line in file.text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            given_path = rest.split('"').next().map(|path| normal(&folder.join(path)));
            continue;
        }
        let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) else { continue };
        match given_path.take() {
            Some(path) => modules.push(path),
            None => modules.extend([own.join(format!("{name}.rs")), own.join(name).join("mod.rs")]),
        }
    }
    modules.retain(|module| all.iter().any(|file| Path::new(&file.path) == module));
    modules
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_flag_of_the_server_is_documented() {
    let help = Command::new(env!("CARGO_BIN_EXE_rondel")).args(["serve", "--help"]).output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: Vec<_> = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")).collect();
    assert!(flags.len() > 30, "{help}");
    let page = fs::read_to_string(root().join("docs/flags.md")).unwrap();
    let name = |flag: &str| flag.split([' ', '=']).next().unwrap_or_default().to_owned();
    let missing = flags
        .iter()
        .map(|flag| name(flag))
        .filter(|flag| flag != "help" && flag != "version")
        .filter(|flag| !page.contains(&format!("`--{flag}`")) && !page.contains(&format!("`--{flag} ")));
    report(missing.map(|flag| format!("docs/flags.md: --{flag} is missing (make docs)")).collect());
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut places = Vec::new();
    for file in files().into_iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root().join(&file.path).parent().unwrap().to_owned();
        for (index, line) in file.text.lines().enumerate() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap_or_default();
                if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                    places.push(format!("{}:{}: {target} does not exist", file.path, index + 1));
                }
            }
        }
    }
    report(places);
}

#[test]
fn scripts_can_be_run() {
    let scripts = files().into_iter().filter(|file| file.text.starts_with("#!/"));
    let still = scripts.filter(|file| root().join(&file.path).metadata().unwrap().permissions().mode() & 0o111 == 0);
    report(still.map(|file| format!("{}: is not executable", file.path)).collect());
}
