//! The files of one log: which is written, when the next begins, which are removed.

use super::row::{date, day_number, timestamp};
use super::{DAYS_MAX, DIRECTORY_BYTES_MAX, FILE_BYTES_MAX, LogKind};
use crate::Timestamp;
use crate::env::{Disk, DiskFile};
use std::io;
use std::path::{Path, PathBuf};

/// A log that is written.
pub(super) struct Files {
    kind: &'static LogKind,
    directory: PathBuf,
    limits: Limits,
    open: Option<Open>,
}

/// How much a log may take.
struct Limits {
    file_bytes: u64,
    directory_bytes: u64,
}

/// The file that is written.
struct Open {
    file: Box<dyn DiskFile>,
    day: i64,
    bytes: u64,
}

/// A file of a log by its name; the newest is the greatest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Named {
    /// As in `20261123`.
    pub(super) day: u64,
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

impl Files {
    pub(super) fn new(kind: &'static LogKind, root: &Path) -> Self {
        let limits = Limits { file_bytes: FILE_BYTES_MAX, directory_bytes: DIRECTORY_BYTES_MAX };
        Self { kind, directory: root.join(kind.directory), limits, open: None }
    }

    /// Appends whole rows.
    ///
    /// # Errors
    /// Of the disk; the next attempt opens a file anew.
    pub(super) fn append(
        &mut self,
        disk: &dyn Disk,
        now: Timestamp,
        rows: &[u8],
    ) -> io::Result<()> {
        let length = rows.len() as u64;
        let most = self.limits.file_bytes;
        let fits = |open: &Open| open.day == day_number(now) && open.bytes + length <= most;
        let mut open = match self.open.take() {
            Some(open) if fits(&open) => open,
            _ => self.begin(disk, now, length)?,
        };
        open.file.write_at(open.bytes, rows)?;
        open.bytes += length;
        self.open = Some(open);
        Ok(())
    }

    /// The file for rows of so many bytes: the last one of the day, or a new one.
    fn begin(&self, disk: &dyn Disk, now: Timestamp, length: u64) -> io::Result<Open> {
        disk.create_dir_all(&self.directory)?;
        let today = day_name(now);
        let last = named(self.kind, disk, &self.directory)?.pop();
        let last = last.filter(|last| last.day == today);
        if let Some(last) = &last {
            let file = disk.open(&last.path, false)?;
            let bytes = file.len()?;
            if bytes > 0 && bytes + length <= self.limits.file_bytes {
                return Ok(Open { file, day: day_number(now), bytes });
            }
        }
        self.sweep(disk, now);
        let number = last.map_or(1, |last| last.number + 1);
        let name = format!("{}{today:08}-{number}.LOG", self.kind.prefix);
        let file = disk.open(&self.directory.join(name), true)?;
        let head = self.head(now);
        file.write_at(0, head.as_bytes())?;
        Ok(Open { file, day: day_number(now), bytes: head.len() as u64 })
    }

    fn head(&self, now: Timestamp) -> String {
        let LogKind { title, fields, .. } = self.kind;
        let (now, fields) = (timestamp(now), fields.join(","));
        format!(
            "#Software: Rialto\r\n#Version: 1\r\n#Log-type: {title}\r\n#Date: {now}\r\n\
             #Fields: {fields}\r\n"
        )
    }

    /// Removes what is too old or too much. What cannot be removed is tried again with the next
    /// file.
    fn sweep(&self, disk: &dyn Disk, now: Timestamp) {
        let Ok(files) = named(self.kind, disk, &self.directory) else { return };
        let oldest = day_name(now.plus_ms(-DAYS_MAX * 86_400_000));
        // Room for the file that begins now.
        let mut bytes = self.limits.file_bytes;
        for file in files.iter().rev() {
            let length = disk.open(&file.path, false).and_then(|open| open.len()).unwrap_or(0);
            bytes = bytes.saturating_add(length);
            if file.day < oldest || bytes > self.limits.directory_bytes {
                let _tried_again = disk.remove(&file.path);
            }
        }
    }
}

/// The files of a log, the oldest first; whatever else is there is left alone.
pub(super) fn named(kind: &LogKind, disk: &dyn Disk, directory: &Path) -> io::Result<Vec<Named>> {
    let parsed = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let (day, number) =
            name.strip_prefix(kind.prefix)?.strip_suffix(".LOG")?.split_once('-')?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_ours = day.len() == 8 && is_number(day) && is_number(number);
        let (day, number) = (day.parse().ok()?, number.parse().ok()?);
        is_ours.then_some(Named { day, number, path })
    };
    let mut files: Vec<Named> = disk.list(directory)?.into_iter().filter_map(parsed).collect();
    files.sort();
    Ok(files)
}

/// `20261123`.
pub(super) fn day_name(moment: Timestamp) -> u64 {
    let (year, month, day) = date(moment);
    u64::try_from(year * 10_000 + month * 100 + day).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::env::sim::SimDisk;

    static KIND: LogKind =
        LogKind { directory: "test", prefix: "TEST", title: "Test Log", fields: &["at", "what"] };

    const DAY_MS: i64 = 86_400_000;

    fn names(disk: &SimDisk) -> Vec<String> {
        let files = named(&KIND, disk, Path::new("/logs/test")).unwrap();
        let name = |file: &Named| file.path.file_name().unwrap().to_string_lossy().into_owned();
        files.iter().map(name).collect()
    }

    fn at(days: i64) -> Timestamp {
        Timestamp { unix_ms: 1_900_000_000_000 + days * DAY_MS }
    }

    #[test]
    fn a_file_for_each_day_and_ten_megabytes() {
        let disk = SimDisk::default();
        let mut files = Files::new(&KIND, Path::new("/logs"));
        let megabyte = vec![b'x'; 1 << 20];
        (0..12).for_each(|_| files.append(&disk, at(0), &megabyte).unwrap());
        assert_eq!(names(&disk), ["TEST20300317-1.LOG", "TEST20300317-2.LOG"]);
        files.append(&disk, at(1), b"row\r\n").unwrap();
        // Another life of the node goes on with the last file.
        let mut files = Files::new(&KIND, Path::new("/logs"));
        files.append(&disk, at(1), b"row\r\n").unwrap();
        assert_eq!(names(&disk)[2..], ["TEST20300318-1.LOG"]);
        let file = disk.open(Path::new("/logs/test/TEST20300318-1.LOG"), false).unwrap();
        let mut text = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "#Software: Rialto\r\n#Version: 1\r\n#Log-type: Test Log\r\n\
             #Date: 2030-03-18T17:46:40.000Z\r\n#Fields: at,what\r\nrow\r\nrow\r\n"
        );
    }

    #[test]
    fn what_is_old_or_too_much_goes_and_nothing_else() {
        let disk = SimDisk::default();
        let mut files = Files::new(&KIND, Path::new("/logs"));
        files.append(&disk, at(0), b"old\r\n").unwrap();
        for name in ["TEST2030-1.LOG", "notes.txt", "OTHER20000101-1.LOG", "TEST20000101-x.LOG"] {
            let path = Path::new("/logs/test").join(name);
            disk.open(&path, true).unwrap().write_at(0, b"x").unwrap();
        }
        files.append(&disk, at(30), b"row\r\n").unwrap();
        assert_eq!(names(&disk).len(), 2, "thirty days are kept");
        files.append(&disk, at(31), b"row\r\n").unwrap();
        assert_eq!(names(&disk), ["TEST20300416-1.LOG", "TEST20300417-1.LOG"]);
        assert_eq!(disk.list(Path::new("/logs/test")).unwrap().len(), 2 + 4);
        files.limits = Limits { file_bytes: 1_000, directory_bytes: 25_000 };
        let nine = vec![b'x'; 900];
        (0..40).for_each(|_| files.append(&disk, at(31), &nine).unwrap());
        let left = names(&disk);
        assert!((24..=27).contains(&left.len()), "{left:?}");
        assert_eq!(left.last().unwrap(), "TEST20300417-41.LOG");
    }

    #[test]
    fn a_disk_that_was_full_is_written_again() {
        let disk = SimDisk::default();
        let mut files = Files::new(&KIND, Path::new("/logs"));
        disk.set_room(Some(0));
        assert!(files.append(&disk, at(0), b"row\r\n").is_err());
        disk.set_room(None);
        files.append(&disk, at(0), b"row\r\n").unwrap();
        files.append(&disk, at(0), b"row\r\n").unwrap();
        assert!(!names(&disk).is_empty());
    }
}
