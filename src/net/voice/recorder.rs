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
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Frames and orders that wait to be written: twenty seconds of ten recordings. More is lost, and said.
pub(super) const RECORDS_MAX: usize = 10_000;
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
    /// Twenty milliseconds, the channels by turns.
    Frame {
        of: Subject,
        samples: Vec<i16>,
    },
    End {
        of: Subject,
    },
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
    tapes: FxHashMap<Subject, Tape>,
}

/// One file that is being written; the error that ended it.
type Tape = Result<Open, String>;

struct Open {
    writer: hound::WavWriter<BufWriter<fs::File>>,
    frames: u64,
}

impl Recorder {
    fn run(mut self, queue: &Receiver<Record>) {
        while let Ok(record) = queue.recv() {
            match record {
                Record::Begin { of, channels, file, rate } => {
                    let tape = create(&self.dir, &file, (channels, rate));
                    if let Err(why) = &tape {
                        tracing::error!(%why, "a call is not recorded");
                    }
                    self.tapes.insert(of, tape);
                }
                Record::Frame { of, samples } => {
                    if let Some(tape) = self.tapes.get_mut(&of)
                        && let Ok(open) = tape
                        && let Err(error) = open.write(&samples)
                    {
                        tracing::error!(%error, "a recording breaks off");
                        *tape = Err(error.to_string());
                    }
                }
                Record::End { of } => self.end(of),
            }
        }
        let left: Vec<Subject> = self.tapes.keys().copied().collect();
        left.into_iter().for_each(|of| self.end(of));
    }

    fn end(&mut self, of: Subject) {
        let Some(tape) = self.tapes.remove(&of) else { return };
        let result = tape.and_then(|Open { writer, frames }| {
            writer.finalize().map_err(|error| error.to_string())?;
            let ms = frames.saturating_mul(u64::from(PACKET_MS));
            Ok(Duration::from_millis(ms))
        });
        // A report that finds no room is let go: the file is there all the same.
        match (of, result) {
            (Subject::Relay(relay), result) => drop((self.report)(Report::Recorded { relay, result })),
            (Subject::Room(_), Ok(_)) => {}
            (Subject::Room(_), Err(why)) => tracing::error!(%why, "a conference is not recorded"),
        }
    }
}

fn create(dir: &Path, file: &str, (channels, sample_rate): (u16, u32)) -> Tape {
    if !is_inside(file) {
        return Err(format!("{file} is no name of a recording"));
    }
    let path = dir.join(file);
    let broken = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| broken(&error))?;
    }
    let spec = hound::WavSpec {
        channels,
        sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).map_err(|error| broken(&error))?;
    writer.flush().map_err(|error| broken(&error))?;
    Ok(Open { writer, frames: 0 })
}

impl Open {
    fn write(&mut self, samples: &[i16]) -> Result<(), hound::Error> {
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
    use std::sync::Mutex;

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
        for _ in 0..120 {
            open.write(&[7; 320]).unwrap();
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
        (0..7).for_each(|_| {
            records.send(Record::Frame { of: Subject::Relay(relay), samples: vec![1; 320] }).unwrap()
        });
        records.send(Record::End { of: Subject::Relay(relay) }).unwrap();
        drop(records);
        thread.join().unwrap();
        let written = hound::WavReader::open(dir.path().join("b.example/2.wav")).unwrap();
        assert_eq!((written.spec().channels, written.duration()), (2, 7 * 160));
        let reports = reports.lock().unwrap();
        assert_eq!(reports[0], Report::Recorded { relay, result: Ok(Duration::from_millis(140)) });
        assert!(matches!(&reports[1], Report::Recorded { relay: RelayId(5), result: Err(_) }));
    }
}
