//! Writes recordings beside the voice threads: WAV, 16 bits; two channels of a call, one of a conference.
//!
//! Invariant: what stands in a file's header is never more than what is in the file, and never more than [`HEADER_EVERY`] frames behind: after a
//! crash the file plays to there.

use super::{Reporter, is_inside};
use crate::voice::codec::PACKET_MS;
use crate::voice::{Report, Subject};
use rustc_hash::FxHashMap;
use std::fs;
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Frames and orders that wait to be written: twenty seconds of ten recordings. More is lost, and said.
pub(super) const RECORDS_MAX: usize = 10_000;
/// Frames of one recording: twelve hours, more than a gigabyte. What comes after them is not recorded.
const FRAMES_MAX: u64 = 12 * 3600 * 50;
/// Frames after which the header is brought up to date: a second.
const HEADER_EVERY: u64 = 50;

/// What is to be written.
pub(super) enum Record {
    Begin {
        of: Subject,
        channels: u16,
        file: Arc<str>,
        /// Samples a second of each channel.
        rate: u32,
    },
    /// Twenty milliseconds, the channels by turns, of that number from the beginning. Those that are left out are silence.
    Frame { of: Subject, number: u64, samples: Vec<i16> },
    /// After so many frames, those that were left out among them.
    End { of: Subject, frames: u64 },
}

/// Starts the thread; it ends when nobody can give it anything any more.
pub(super) fn start(dir: PathBuf, report: Reporter) -> io::Result<(SyncSender<Record>, JoinHandle<()>)> {
    let (records, queue) = sync_channel(RECORDS_MAX);
    let thread = std::thread::Builder::new()
        .name("voice-recorder".into())
        .spawn(move || Recorder { dir, report, tapes: FxHashMap::default() }.run(&queue))?;
    Ok((records, thread))
}

struct Recorder {
    dir: PathBuf,
    report: Reporter,
    tapes: FxHashMap<Subject, Open>,
}

/// One file that is being written.
struct Open {
    /// Samples of a frame, of all channels.
    samples: usize,
    writer: hound::WavWriter<BufWriter<fs::File>>,
    frames: u64,
}

impl Recorder {
    fn run(mut self, queue: &Receiver<Record>) {
        while let Ok(record) = queue.recv() {
            match record {
                Record::Begin { of, channels, file, rate } => {
                    match create(&self.dir, &file, (channels, rate)) {
                        Ok(open) => drop(self.tapes.insert(of, open)),
                        Err(why) => self.failed(of, why),
                    }
                }
                Record::Frame { of, number, samples } => {
                    let written = self.tapes.get_mut(&of).map(|open| open.write(number, &samples));
                    if let Some(Err(error)) = written {
                        self.tapes.remove(&of);
                        self.failed(of, format!("it breaks off: {error}"));
                    }
                }
                Record::End { of, frames } => self.end(of, frames),
            }
        }
        let left: Vec<(Subject, u64)> = self.tapes.iter().map(|(of, open)| (*of, open.frames)).collect();
        left.into_iter().for_each(|(of, frames)| self.end(of, frames));
    }

    fn end(&mut self, of: Subject, frames: u64) {
        let Some(mut open) = self.tapes.remove(&of) else { return };
        let ended = open.fill_up(frames).and_then(|()| {
            let ms = open.frames.saturating_mul(u64::from(PACKET_MS));
            open.writer.finalize().map(|()| Duration::from_millis(ms))
        });
        match ended {
            // A report that finds no room is let go: the file is there all the same.
            Ok(lasted) => drop((self.report)(Report::Recorded { of, result: Ok(lasted) })),
            Err(error) => self.failed(of, format!("it can't be finished: {error}")),
        }
    }

    /// At once, for the call to know while it lasts.
    fn failed(&self, of: Subject, why: String) {
        match of {
            Subject::Relay(_) => tracing::error!(%why, "a call is not recorded"),
            Subject::Room(_) => tracing::error!(%why, "a conference is not recorded"),
        }
        let _ = (self.report)(Report::Recorded { of, result: Err(why) }); // else it is in the log alone
    }
}

fn create(dir: &Path, file: &str, (channels, sample_rate): (u16, u32)) -> Result<Open, String> {
    if !is_inside(file) {
        return Err(format!("{file} is no name of a recording"));
    }
    let path = dir.join(file);
    let broken = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if let Some(parent) = path.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|error| broken(&error))?;
    }
    let spec = hound::WavSpec {
        channels,
        sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    // What people say is nobody else's affair, whatever the umask is.
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let file = BufWriter::new(file.map_err(|error| broken(&error))?);
    let mut writer = hound::WavWriter::new(file, spec).map_err(|error| broken(&error))?;
    writer.flush().map_err(|error| broken(&error))?;
    let samples = usize::from(channels) * (sample_rate * PACKET_MS / 1000) as usize;
    Ok(Open { samples, writer, frames: 0 })
}

impl Open {
    fn write(&mut self, number: u64, samples: &[i16]) -> Result<(), hound::Error> {
        self.fill_up(number)?;
        self.append(samples)
    }

    /// Silence for the frames before that one that were left out.
    fn fill_up(&mut self, number: u64) -> Result<(), hound::Error> {
        while self.frames < number.min(FRAMES_MAX) {
            self.append(&vec![0; self.samples])?;
        }
        Ok(())
    }

    fn append(&mut self, samples: &[i16]) -> Result<(), hound::Error> {
        if self.frames >= FRAMES_MAX {
            return Ok(());
        }
        for sample in samples {
            self.writer.write_sample(*sample)?;
        }
        self.frames += 1;
        if self.frames.is_multiple_of(HEADER_EVERY) {
            self.writer.flush()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::RelayId;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Mutex;

    #[test]
    fn nobody_else_can_read_a_recording() {
        let dir = tempfile::tempdir().unwrap();
        let name = "a.example/2026-11-24/1.wav";
        drop(create(dir.path(), name, (2, 8000)).unwrap());
        for (path, mode) in [("a.example", 0o700), ("a.example/2026-11-24", 0o700), (name, 0o600)] {
            let found = fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{path}");
        }
    }

    #[test]
    fn a_file_plays_while_it_is_written_and_is_whole_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
        let told = reports.clone();
        let report: Reporter = Arc::new(move |report| {
            told.lock().unwrap().push(report);
            None
        });
        let path = dir.path().join("a.example/1.wav");
        let mut open = create(dir.path(), "a.example/1.wav", (2, 8000)).unwrap();
        assert_eq!(hound::WavReader::open(&path).unwrap().len(), 0);
        for number in 0..120 {
            open.write(number, &[7; 320]).unwrap();
        }
        // As a crash would leave it: nothing is closed.
        assert_eq!(hound::WavReader::open(&path).unwrap().duration(), 100 * 160);
        drop(open);

        let (records, thread) = start(dir.path().to_owned(), report).unwrap();
        let relay = RelayId(4);
        records
            .send(Record::Begin {
                of: Subject::Relay(relay),
                channels: 2,
                file: "b.example/2.wav".into(),
                rate: 8000,
            })
            .unwrap();
        records
            .send(Record::Begin {
                of: Subject::Relay(RelayId(5)),
                channels: 2,
                file: "../3.wav".into(),
                rate: 8000,
            })
            .unwrap();
        // The frames 2 to 4, and the last one, were lost on the way.
        let of = Subject::Relay(relay);
        for number in [0, 1, 5, 6] {
            records.send(Record::Frame { of, number, samples: vec![1; 320] }).unwrap();
        }
        records.send(Record::End { of, frames: 8 }).unwrap();
        drop(records);
        thread.join().unwrap();
        let mut written = hound::WavReader::open(dir.path().join("b.example/2.wav")).unwrap();
        assert_eq!((written.spec().channels, written.duration()), (2, 8 * 160));
        let samples: Vec<i16> = written.samples().map(Result::unwrap).collect();
        let sounds: Vec<bool> = samples.chunks(320).map(|frame| frame.iter().all(|it| *it == 1)).collect();
        assert_eq!(sounds, [true, true, false, false, false, true, true, false], "what is lost is silence");
        let reports = reports.lock().unwrap();
        assert!(
            matches!(&reports[0], Report::Recorded { of: Subject::Relay(RelayId(5)), result: Err(_) }),
            "at once"
        );
        assert_eq!(
            reports[1],
            Report::Recorded { of: Subject::Relay(relay), result: Ok(Duration::from_millis(160)) }
        );
    }
}
