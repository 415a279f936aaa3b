//! Text in columns.

use unicode_width::UnicodeWidthStr;

/// The rows as lines, in columns that are as wide as their widest cell.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<usize> = (0..N)
        .map(|column| cells(column).map(|cell| cell.width()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += cell;
            line += &" ".repeat(width - cell.width() + 2);
        }
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [["a", "long", "x"], ["日本", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), ["a     long  x", "日本  b"]);
    }
}
