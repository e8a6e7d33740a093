//! Passwords: typed, piped in or made up.

use std::io::{BufRead, IsTerminal, stdin};

use zeroize::Zeroizing;

use crate::cli::names;
use crate::cli::user::Password;

/// Characters of a password that is made up, and how many: 100 bits. None of them is easily taken for another.
const CHARACTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const GENERATED_LENGTH: usize = 20;

/// Bytes of a line with a password at most.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// The password, prepared for hashing, from where the flags say.
pub(super) fn obtain(flags: &Password) -> Result<Zeroizing<String>, String> {
    if flags.generate {
        return generate();
    }
    let typed = if flags.password_stdin { read_line(stdin().lock()) } else { ask() }?;
    names::password(&typed).map(Zeroizing::new)
}

fn ask() -> Result<Zeroizing<String>, String> {
    if !stdin().is_terminal() {
        return Err("standard input is no terminal to ask for a password; use --password-stdin or --generate".into());
    }
    let prompt = |text| rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| error.to_string());
    let first = prompt("Password: ")?;
    let second = prompt("Password again: ")?;
    if first == second { Ok(first) } else { Err("the passwords are not the same".into()) }
}

fn read_line(input: impl BufRead) -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    input.take(LINE_BYTES_MAX).read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn generate() -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new([0; GENERATED_LENGTH]);
    getrandom::fill(&mut *bytes).map_err(|error| format!("no random numbers: {error}"))?;
    let characters = bytes.iter().map(|byte| char::from(CHARACTERS[usize::from(byte % 32)]));
    Ok(Zeroizing::new(characters.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_read_as_they_are_and_made_up_anew() {
        assert_eq!(**read_line(&b" two words \r\nnext"[..]).unwrap(), *" two words ");
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert!(one != other && one.len() == GENERATED_LENGTH);
        assert_eq!(names::password(&one).unwrap(), **one);
    }
}
