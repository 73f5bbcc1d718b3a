//! A camera process that writes frames in place, and two readers that look at them there: no copy is
//! made of the pixels. A leased copy of each frame's number goes to a third process that is killed in
//! the middle of its work; what it had in hand is delivered again.

use std::process::abort;

use crossproc::prelude::*;

const WIDTH: usize = 640;
const HEIGHT: usize = 480;
const FRAMES: u64 = 100;

#[derive(Pod, Clone, Copy)]
#[repr(C)]
struct Frame {
    number: u64,
    pixels: [u8; WIDTH * HEIGHT],
}

fn film(frames: Queue<Frame>, index: Queue<u64>) -> Result<(), Failure> {
    for number in 0..FRAMES {
        let mut place = frames.reserve()?; // waits while all places are taken
        // SAFETY: all processes here use crossproc, so nobody else writes to the place.
        let frame = unsafe { place.as_mut() };
        frame.number = number;
        frame.pixels.fill(number.to_le_bytes()[0]);
        place.commit()?;
        index.put(number)?;
    }
    frames.close();
    index.close();
    Ok(())
}

/// Adds up the brightness of the frames that this process gets.
fn look(frames: Queue<Frame>) -> Result<(u64, u64), Failure> {
    let (mut seen, mut brightness) = (0, 0);
    loop {
        let item = match frames.get_ref() {
            Ok(item) => item,
            Err(GetError::Closed) => return Ok((seen, brightness)),
            Err(error) => return Err(error.into()),
        };
        seen += 1;
        // SAFETY: as for the camera.
        let frame = unsafe { item.as_ref() };
        brightness += frame.pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
        item.release()?;
    }
}

/// Files frame numbers; the first clerk dies with one in hand.
fn file(index: Queue<u64>, filed: Queue<u64>, clumsy: bool) -> Result<(), Failure> {
    loop {
        let lease = match index.lease() {
            Ok(lease) => lease,
            Err(GetError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if clumsy && *lease == FRAMES / 2 {
            abort();
        }
        filed.put(*lease)?;
        lease.ack()?;
    }
}

fn main() -> Result<(), Failure> {
    crossproc::init();
    let frames = Queue::<Frame>::bounded(4)?;
    let (index, filed) = (Queue::bounded(16)?, Queue::bounded(2 * FRAMES as usize)?);

    let camera = spawn((frames.clone(), index.clone()), film)?;
    let viewers = [spawn((frames.clone(),), look)?, spawn((frames,), look)?];
    let clumsy = spawn((index.clone(), filed.clone(), true), file)?;
    match clumsy.join() {
        Err(death) => println!("the clerk died: {death}"),
        Ok(result) => result?,
    }
    spawn((index, filed.clone(), false), file)?.join()??;

    camera.join()??;
    let (mut seen, mut brightness) = (0, 0);
    for viewer in viewers {
        let (some, bright) = viewer.join()??;
        (seen, brightness) = (seen + some, brightness + bright);
    }
    let pixels = seen * (WIDTH * HEIGHT) as u64;
    println!("{seen} frames were seen, mean brightness {:.1}", brightness as f64 / pixels as f64);
    let mut numbers: Vec<u64> = filed.drain().collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    println!(
        "{} frames were filed, each once: {}",
        numbers.len(),
        numbers.iter().copied().eq(0..FRAMES)
    );
    Ok(())
}
