//! Tables of text: columns as wide as they must be, numbers to the right.

/// A number with three significant digits, or all that stand before the point.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        _ if value == value.trunc() || magnitude >= 100.0 => 0,
        _ if magnitude >= 10.0 => 1,
        _ if magnitude >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// The rows, the first one underlined.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let (left, right) = if column == 0 { ("", padding.as_str()) } else { (padding.as_str(), "") };
            line.push_str(&format!("{}{left}{cell}{right}", if column == 0 { "" } else { "  " }));
        }
        text.push_str(line.trim_end());
        text.push('\n');
        if index == 0 {
            text.push_str(&"-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let shown: Vec<_> = [0.0, 0.1234, 1.234, 12.34, 123.4, 200.0, 12_345.6].map(number).into();
        assert_eq!(shown, ["0", "0.123", "1.23", "12.3", "123", "200", "12346"]);
    }

    #[test]
    fn columns_line_up() {
        let rows = [["", "a", "bb"], ["one", "1", "22"], ["three", "100", "2"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        assert_eq!(table(&rows), "         a  bb\n--------------\none      1  22\nthree  100   2\n");
    }
}
