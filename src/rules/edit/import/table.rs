//! A CSV file as rows of named cells: whatever spreadsheet wrote it. Byte order marks, semicolons and tabs, quotes and `="0101"` are read;
//! what can't be is said by row and column.

use super::Loss;
use std::collections::BTreeMap;

/// Rows of one file; more is a mistake, or several imports.
pub const ROWS_MAX: usize = 100_000;
/// Bytes of one file.
pub const BYTES_MAX: usize = 64 << 20;
/// Characters of one cell: a missing quotation mark makes one of all that follows.
const CELL_CHARS_MAX: usize = 512;

/// Every column that is read, with the other names that exports give it.
pub const COLUMNS: [(&str, &[&str]); 21] = [
    ("ext", &["extension", "number ext", "main extension"]),
    ("exts", &["further extensions", "other extensions"]),
    ("user", &["user name", "username", "login"]),
    ("first_name", &["first", "given name", "forename"]),
    ("last_name", &["last", "surname", "family name"]),
    ("name", &["display name", "full name", "display"]),
    ("email", &["e mail", "mail", "email address"]),
    ("site", &["office", "branch"]),
    ("department", &["dept"]),
    ("role", &[]),
    ("timezone", &["time zone", "tz"]),
    ("area_code", &["area code"]),
    ("ring_for", &["ring time", "ring timeout"]),
    ("tags", &["tag"]),
    ("number", &["did", "dids", "numbers", "direct number", "phone number"]),
    ("mac", &["mac address", "macs"]),
    ("model", &["phone model", "models"]),
    ("device", &["devices", "device name"]),
    ("mailbox", &["voicemail", "voicemail enabled"]),
    ("emergency_callback", &["emergency callback", "callback", "e911 callback"]),
    ("emergency_location", &["emergency location", "e911 location"]),
];

/// What `--template` prints: the columns, and a line that shows them.
#[must_use]
pub fn template() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let example = [
        "101",
        "",
        "osei",
        "Ama",
        "Osei",
        "",
        "ama@harbour.example",
        "",
        "Surgery",
        "basic",
        "",
        "",
        "25s",
        "",
        "+12025550101",
        "00:15:65:00:01:01",
        "yealink-t54w",
        "101a",
        "yes",
        "front-desk",
        "suite-200",
    ];
    format!("{}\n{}\n", names.join(","), example.join(","))
}

/// One row: its number in the file, counted from 1 with the head, and its cells by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub number: u64,
    pub cells: BTreeMap<&'static str, String>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Table {
    pub rows: Vec<Row>,
    pub losses: Vec<Loss>,
}

/// Reads a file. `latin1`: its letters are those of ISO 8859-1.
///
/// # Errors
/// It can't be read as a table at all: one line.
pub fn read(bytes: &[u8], latin1: bool) -> Result<Table, String> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("the file has more than {} MiB", BYTES_MAX >> 20));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("the file is UTF-16: save it as `CSV UTF-8`".into());
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let head = bytes.split(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(head))
        .flexible(true)
        .has_headers(false)
        .from_reader(bytes);
    let mut table = Table::default();
    let mut columns: Option<Vec<Option<&'static str>>> = None;
    let mut lines = Lines { counted: 0, line: 1 };
    for record in reader.byte_records() {
        let record = record.map_err(|e| format!("the file can't be read: {e}"))?;
        let start = record.position().map_or(0, |p| usize::try_from(p.byte()).unwrap_or(usize::MAX));
        let number = lines.at(bytes, start);
        let cells: Vec<Result<String, String>> = record.iter().map(|cell| clean(cell, latin1)).collect();
        match &columns {
            None => columns = Some(head_of(&cells, number, &mut table.losses)?),
            Some(columns) => row(columns, cells, number, &mut table),
        }
        if table.rows.len() > ROWS_MAX {
            return Err(format!("the file has more than {ROWS_MAX} rows"));
        }
    }
    if columns.is_none() {
        return Err("the file is empty; `--template` prints one".into());
    }
    Ok(table)
}

/// Lines as an editor counts them; the reader counts the two bytes of a Windows line end to two lines.
struct Lines {
    counted: usize,
    line: u64,
}

impl Lines {
    /// The line of the record that begins at this byte, or behind the line ends there.
    fn at(&mut self, bytes: &[u8], start: usize) -> u64 {
        let rest = bytes.get(start..).unwrap_or_default();
        let start = start + rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let passed = bytes.get(self.counted..start).unwrap_or_default();
        self.line += passed.iter().filter(|b| **b == b'\n').count() as u64;
        self.counted = start.max(self.counted);
        self.line
    }
}

/// What stands most often between the names of the columns.
fn delimiter(head: &[u8]) -> u8 {
    let count = |d: u8| head.iter().filter(|b| **b == d).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|d| count(*d)).unwrap_or(b',')
}

fn clean(cell: &[u8], latin1: bool) -> Result<String, String> {
    let text = match std::str::from_utf8(cell) {
        _ if latin1 => cell.iter().map(|b| char::from(*b)).collect(),
        Ok(text) => text.to_owned(),
        Err(_) => return Err("this is not UTF-8; if the file is Latin-1 (ISO 8859-1), say --latin1".into()),
    };
    let text = text.trim();
    // How spreadsheets keep leading zeros.
    let text = text.strip_prefix("=\"").and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    if text.chars().count() > CELL_CHARS_MAX || text.contains(['\n', '\r']) {
        return Err("a cell of several lines: is a quotation mark missing?".into());
    }
    if text.chars().any(char::is_control) {
        return Err("a control character".into());
    }
    Ok(text.to_owned())
}

/// The columns by their place; `None` where one is not known, which is said once.
fn head_of(
    cells: &[Result<String, String>],
    number: u64,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Option<&'static str>>, String> {
    let mut columns: Vec<Option<&'static str>> = Vec::new();
    for cell in cells {
        let name = cell.clone()?;
        let plain = plain(&name);
        let known = COLUMNS
            .iter()
            .find(|(column, others)| self::plain(column) == plain || others.contains(&plain.as_str()));
        let column = known.map(|(column, _)| *column);
        if column.is_some() && columns.contains(&column) {
            return Err(format!("the column `{name}` is there twice"));
        }
        if column.is_none() && !plain.is_empty() {
            let why = match plain.as_str() {
                "password" | "secret" | "sip password" | "pin" | "voicemail pin" => {
                    "secrets are not taken from spreadsheets: put them into files (`file:secrets/...`), and PINs as `hash:...`"
                }
                _ => "this column is not known; `--template` prints those that are",
            };
            losses.push(Loss { row: number, column: name, value: String::new(), why: why.into() });
        }
        columns.push(column);
    }
    if !columns.contains(&Some("ext")) {
        let separators = "are the columns separated by commas, semicolons or tabs?";
        return Err(format!(
            "the first line names no column `ext`; {separators} `--template` prints a file to begin with"
        ));
    }
    Ok(columns)
}

/// Without case, and with spaces for whatever separates words.
fn plain(name: &str) -> String {
    let spaced: String =
        name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn row(columns: &[Option<&'static str>], cells: Vec<Result<String, String>>, number: u64, table: &mut Table) {
    if cells.iter().all(|cell| cell.as_ref().is_ok_and(String::is_empty)) {
        return;
    }
    let mut row = Row { number, ..Row::default() };
    for (at, cell) in cells.into_iter().enumerate() {
        let column = columns.get(at).copied().flatten();
        let lost = |value: String, why: String| Loss {
            row: number,
            column: column.map_or_else(|| format!("{}", at + 1), str::to_owned),
            value,
            why,
        };
        match (cell, column) {
            (Ok(text), Some(column)) if !text.is_empty() => drop(row.cells.insert(column, text)),
            (Ok(text), None) if !text.is_empty() && at >= columns.len() => {
                table.losses.push(lost(text, "there are more cells in this row than columns".into()));
            }
            (Ok(_), _) => {}
            (Err(why), _) => table.losses.push(lost(String::new(), why)),
        }
    }
    table.rows.push(row);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(text: &str) -> Vec<Vec<(&'static str, String)>> {
        let table = read(text.as_bytes(), false).unwrap();
        table.rows.into_iter().map(|row| row.cells.into_iter().collect()).collect()
    }

    #[test]
    fn the_habits_of_spreadsheets_are_read() {
        let wanted = vec![vec![
            ("email", "a@b".to_owned()),
            ("ext", "0101".to_owned()),
            ("first_name", "Zoë, Q".to_owned()),
        ]];
        for text in [
            "ext,First,E-Mail\n0101,\"Zoë, Q\",a@b\n",
            "\u{feff}Extension;First Name;email\r\n=\"0101\";Zoë, Q;a@b\r\n;;\r\n",
            "EXT\tFIRST_NAME\tMail\n 0101 \tZoë, Q\ta@b",
        ] {
            assert_eq!(cells(text), wanted, "{text}");
        }
    }

    #[test]
    fn latin_1_is_told_and_read_when_it_is_said() {
        let bytes = b"ext,name\n101,Zo\xeb\n";
        let table = read(bytes, false).unwrap();
        assert_eq!((table.losses[0].row, table.losses[0].column.as_str()), (2, "name"));
        assert!(table.losses[0].why.contains("--latin1"));
        assert_eq!(read(bytes, true).unwrap().rows[0].cells["name"], "Zoë");
    }

    #[test]
    fn what_is_lost_is_named_by_row_and_column() {
        let table = read(b"ext,shoe size,password\n101,44,s3cret,more\n102,\"a\nb\"\n", false).unwrap();
        let losses: Vec<_> = table.losses.iter().map(|l| (l.row, l.column.as_str())).collect();
        assert_eq!(losses, [(1, "shoe size"), (1, "password"), (2, "4"), (3, "2")]);
        assert!(table.losses.iter().all(|l| !l.value.contains("s3cret")), "{:?}", table.losses);
    }

    #[test]
    fn rows_are_counted_as_an_editor_counts_lines() {
        for end in ["\n", "\r\n"] {
            let text = ["ext,name", "101,a", "", "102,\"b", "b\"", "103,c"].join(end);
            let table = read(text.as_bytes(), false).unwrap();
            assert_eq!(table.rows.iter().map(|r| r.number).collect::<Vec<_>>(), [2, 4, 6], "{text:?}");
        }
    }

    #[test]
    fn what_is_no_table_says_so() {
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"name,email\nA,b\n", "names no column `ext`"),
            (b"\xff\xfee\0", "UTF-16"),
            (b"ext,ext\n1,2\n", "twice"),
        ] {
            assert!(read(bytes, false).unwrap_err().contains(says), "{says}");
        }
    }

    #[test]
    fn the_template_is_read_whole() {
        let table = read(template().as_bytes(), false).unwrap();
        assert_eq!((table.rows.len(), table.losses.len()), (1, 0));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, headed: bool, latin1: bool) {
            if headed { bytes.splice(0..0, *b"ext,name\n"); }
            let _ = read(&bytes, latin1);
        }
    }
}
