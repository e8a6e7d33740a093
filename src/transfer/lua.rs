//! Lua tables as Prosody writes them to files: values only, no code is run.

use std::io::{BufRead, Read};

/// How deep tables may stand within each other.
const DEPTH_MAX: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A string: bytes.
    Text(Vec<u8>),
    /// A table.
    Table(Table),
}

/// A table: what it has in order, and what it has by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Values without a key, or with the numbers 1, 2, … as keys, in their order.
    pub list: Vec<Value>,
    /// The others.
    pub named: Vec<(Value, Value)>,
}

impl Value {
    /// As text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// As a table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        if let Value::Table(table) = self { Some(table) } else { None }
    }

    /// As a number, if it is one, or a text that is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(_) => self.text()?.parse().ok(),
            _ => None,
        }
    }
}

impl Table {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let is_it = |(known, _): &&(Value, Value)| matches!(known, Value::Text(text) if text == key.as_bytes());
        self.named.iter().find(is_it).map(|(_, value)| value)
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// What has a text as its key.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.named.iter().filter_map(|(key, value)| Some((key.text()?, value)))
    }

    /// What stands under `[false]`, where Prosody keeps what is about the table.
    pub fn about(&self) -> Option<&Table> {
        let is_it = |(key, _): &&(Value, Value)| *key == Value::Boolean(false);
        self.named.iter().find(is_it).and_then(|(_, value)| value.table())
    }
}

/// Reads values from a file.
pub struct Lua<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Lua<R> {
    /// From its beginning.
    pub fn new(input: R) -> Lua<R> {
        Lua { input, line: 1 }
    }

    /// The value of a file that returns one: `return VALUE;`.
    pub fn returned(mut self) -> Result<Value, String> {
        self.require_word("return")?;
        let value = self.value(0)?;
        self.skip(b';')?;
        match self.peek()? {
            None => Ok(value),
            Some(_) => Err(self.wrong("the end is expected")),
        }
    }

    /// The next item of a file that is a list: `item(VALUE);`, one after the other.
    pub fn next_item(&mut self) -> Result<Option<Value>, String> {
        self.skip(b';')?;
        if self.peek()?.is_none() {
            return Ok(None);
        }
        self.require_word("item")?;
        self.require(b'(')?;
        let value = self.value(0)?;
        self.require(b')')?;
        self.skip(b';')?;
        Ok(Some(value))
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        match self.peek()? {
            Some(b'{') if depth >= DEPTH_MAX => Err(self.wrong("tables stand too deep within each other")),
            Some(b'{') => self.table(depth),
            Some(quote @ (b'"' | b'\'')) => self.text(quote).map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                let word = self.word()?;
                match &*word {
                    "nil" => Ok(Value::Nil),
                    "true" => Ok(Value::Boolean(true)),
                    "false" => Ok(Value::Boolean(false)),
                    _ => Err(self.wrong("a value is expected")),
                }
            }
            _ => Err(self.wrong("a value is expected")),
        }
    }

    fn table(&mut self, depth: usize) -> Result<Value, String> {
        self.require(b'{')?;
        let mut table = Table::default();
        loop {
            match self.peek()? {
                Some(b'}') => {
                    self.require(b'}')?;
                    return Ok(Value::Table(table));
                }
                Some(b'[') => {
                    self.require(b'[')?;
                    let key = self.value(depth + 1)?;
                    self.require(b']')?;
                    self.require(b'=')?;
                    let value = self.value(depth + 1)?;
                    let next = table.list.len() as f64 + 1.0;
                    if key == Value::Number(next) { table.list.push(value) } else { table.named.push((key, value)) }
                }
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                    let word = self.word()?;
                    match (&*word, self.peek()?) {
                        (_, Some(b'=')) => {
                            self.require(b'=')?;
                            let value = self.value(depth + 1)?;
                            table.named.push((Value::Text(word.into_bytes()), value));
                        }
                        ("nil", _) => table.list.push(Value::Nil),
                        ("true", _) => table.list.push(Value::Boolean(true)),
                        ("false", _) => table.list.push(Value::Boolean(false)),
                        _ => return Err(self.wrong("= is expected")),
                    }
                }
                _ => {
                    let value = self.value(depth + 1)?;
                    table.list.push(value);
                }
            }
            if !self.skip(b';')? && !self.skip(b',')? && self.peek()? != Some(b'}') {
                return Err(self.wrong("; or } is expected"));
            }
        }
    }

    fn text(&mut self, quote: u8) -> Result<Vec<u8>, String> {
        self.require(quote)?;
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                Some(byte) if byte == quote => return Ok(text),
                Some(b'\\') => match self.byte()? {
                    Some(b'a') => text.push(7),
                    Some(b'b') => text.push(8),
                    Some(b'f') => text.push(12),
                    Some(b'n') => text.push(b'\n'),
                    Some(b'r') => text.push(b'\r'),
                    Some(b't') => text.push(b'\t'),
                    Some(b'v') => text.push(11),
                    Some(digit @ b'0'..=b'9') => {
                        let mut number = u32::from(digit - b'0');
                        for _ in 0..2 {
                            let Some(next @ b'0'..=b'9') = self.raw()? else { break };
                            self.byte()?;
                            number = number * 10 + u32::from(next - b'0');
                        }
                        text.push(u8::try_from(number).map_err(|_| self.wrong("a byte is expected behind \\"))?);
                    }
                    // The quotes, the backslash, the end of a line.
                    Some(other) if !other.is_ascii_alphanumeric() => text.push(other),
                    _ => return Err(self.wrong("that is no escape")),
                },
                Some(byte) => text.push(byte),
                None => return Err(self.wrong("a string does not end")),
            }
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let mut text = String::new();
        while let Some(byte) = self.raw()? {
            if !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'-' | b'+') || text.len() > 64 {
                break;
            }
            text.push(char::from(byte));
            self.byte()?;
        }
        let hexadecimal = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let number = hexadecimal.map(|number| number as f64).or_else(|| text.parse().ok());
        number.map(Value::Number).ok_or_else(|| self.wrong("a number is expected"))
    }

    fn word(&mut self) -> Result<String, String> {
        let mut word = String::new();
        while let Some(byte) = self.raw()?.filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            word.push(char::from(byte));
            self.byte()?;
            if word.len() > 1024 {
                return Err(self.wrong("a name is too long"));
            }
        }
        Ok(word)
    }

    fn require_word(&mut self, word: &str) -> Result<(), String> {
        self.peek()?;
        if self.word()? == word { Ok(()) } else { Err(self.wrong(&format!("{word} is expected"))) }
    }

    fn require(&mut self, byte: u8) -> Result<(), String> {
        match self.skip(byte)? {
            true => Ok(()),
            false => Err(self.wrong(&format!("{} is expected", char::from(byte)))),
        }
    }

    /// Goes behind a byte if it is the next one.
    fn skip(&mut self, byte: u8) -> Result<bool, String> {
        let is_there = self.peek()? == Some(byte);
        if is_there {
            self.byte()?;
        }
        Ok(is_there)
    }

    /// The next byte that is no space and in no comment.
    fn peek(&mut self) -> Result<Option<u8>, String> {
        loop {
            match self.raw()? {
                Some(byte) if byte.is_ascii_whitespace() => drop(self.byte()?),
                Some(b'-') if self.is_comment()? => while !matches!(self.byte()?, None | Some(b'\n')) {},
                found => return Ok(found),
            }
        }
    }

    fn is_comment(&mut self) -> Result<bool, String> {
        Ok(self.input.fill_buf().map_err(|error| error.to_string())?.starts_with(b"--"))
    }

    fn raw(&mut self) -> Result<Option<u8>, String> {
        Ok(self.input.fill_buf().map_err(|error| error.to_string())?.first().copied())
    }

    fn byte(&mut self) -> Result<Option<u8>, String> {
        let byte = self.raw()?;
        if byte.is_some() {
            self.input.consume(1);
        }
        self.line += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    fn wrong(&self, text: &str) -> String {
        format!("line {}: {text}", self.line)
    }
}

impl<R: Read> Lua<std::io::BufReader<R>> {
    /// From a file.
    pub fn of(file: R) -> Lua<std::io::BufReader<R>> {
        Lua::new(std::io::BufReader::with_capacity(64 << 10, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn returned(text: &str) -> Result<Value, String> {
        Lua::new(text.as_bytes()).returned()
    }

    #[test]
    fn a_file_returns_a_value() {
        let text = "-- Prosody\nreturn {\n\t[\"stored_key\"] = \"ab\\\"\\n\\010\\0z\\\\\";\n\
                    \t[false] = { version = 3 };\n\
                    \tname='x', attr = { [\"xml:lang\"] = \"en\" };\n\t{ 1; -2.5e1; 0x10; true; nil };\n\
                    \t[2] = \"b\";\n};";
        let value = returned(text).unwrap();
        let table = value.table().unwrap();
        assert_eq!(table.get("stored_key"), Some(&Value::Text(b"ab\"\n\n\0z\\".to_vec())));
        assert_eq!(table.about().unwrap().get("version"), Some(&Value::Number(3.0)));
        assert_eq!(table.text("name"), Some("x"));
        assert_eq!(table.get("attr").unwrap().table().unwrap().text("xml:lang"), Some("en"));
        let numbers = [1.0, -25.0, 16.0].map(Value::Number);
        let list = table.list[0].table().unwrap();
        assert_eq!((&list.list[..3], &list.list[3..]), (&numbers[..], &[Value::Boolean(true), Value::Nil][..]));
        assert_eq!(table.list[1].text(), Some("b"));
    }

    #[test]
    fn a_list_has_items() {
        let mut list = Lua::new(&b"item({\n\tkey = \"1\";\n});\nitem({ key = \"2\" });\n\n"[..]);
        let keys: Vec<_> = std::iter::from_fn(|| list.next_item().unwrap())
            .map(|item| item.table().unwrap().text("key").unwrap().to_owned())
            .collect();
        assert_eq!(keys, ["1", "2"]);
        let mut broken = Lua::new(&b"item({\n\tkey = \"1\";\n});\nitem({ key = \"2"[..]);
        assert!(broken.next_item().is_ok());
        assert_eq!(broken.next_item(), Err("line 4: a string does not end".into()));
    }

    #[test]
    fn code_is_not_run() {
        for text in [
            "return os.exit()",
            "return {} .. {}",
            "os.exit()",
            "return { f() }",
            "return \"\\q\"",
            "return \"\\300\"",
            "return {",
            "return { a = }",
            "return { a b }",
            "return 1 2",
            "",
        ] {
            assert!(returned(text).is_err(), "{text}");
        }
        let deep = format!("return {}1{}", "{".repeat(100), "}".repeat(100));
        assert!(returned(&deep).unwrap_err().contains("too deep"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            Lua::new(&bytes[..]).returned().ok();
            let mut list = Lua::new(&bytes[..]);
            while let Ok(Some(_)) = list.next_item() {}
        }

        #[test]
        fn texts_come_back(bytes: Vec<u8>) {
            let written: String = bytes.iter().map(|byte| format!("\\{byte:03}")).collect();
            prop_assert_eq!(returned(&format!("return \"{written}\"")), Ok(Value::Text(bytes)));
        }
    }
}
