//! Deliver frames made and read in place: the server passes envelopes on as they came, many at once.

use super::DeliveryId;
use super::frame::{self, PREFIX};

/// Adds a frame to others: the same bytes as those of [`ToClient::Deliver`](super::ToClient::Deliver).
pub fn append(frames: &mut Vec<u8>, delivery: DeliveryId, backlog: bool, envelope: &[u8]) {
    frame::append(frames, TYPE, |writer| {
        delivery.write(writer);
        writer.flag(backlog);
        writer.bytes(envelope);
    });
}

/// Gives Deliver frames, one behind the other, these numbers; frames of other types stay as they are.
pub fn number(mut frames: &mut [u8], epoch: u64, numbers: &[u64]) {
    let mut numbers = numbers.iter();
    while let Some(prefix) = frames.first_chunk::<PREFIX>() {
        let (frame, rest) = frames.split_at_mut(PREFIX + u32::from_be_bytes(*prefix) as usize);
        if frame[PREFIX] == TYPE
            && let Some(number) = numbers.next()
        {
            frame[DELIVERY..NUMBER].copy_from_slice(&epoch.to_be_bytes());
            frame[NUMBER..BACKLOG].copy_from_slice(&number.to_be_bytes());
        }
        frames = rest;
    }
}

/// Says of a frame that it waited for the client.
pub fn set_backlog(frame: &mut [u8]) {
    frame[BACKLOG] = 1;
}

/// The envelope of a frame.
pub fn envelope(frame: &[u8]) -> &[u8] {
    &frame[ENVELOPE..]
}

/// The type byte in the table of `to_client.rs`.
const TYPE: u8 = 0x86;
const DELIVERY: usize = PREFIX + 1;
const NUMBER: usize = DELIVERY + 8;
const BACKLOG: usize = NUMBER + 8;
const ENVELOPE: usize = BACKLOG + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ToClient;

    #[test]
    fn it_is_the_frame_that_values_give() {
        let delivery = DeliveryId { epoch: 0x0102_0304_0506_0708, number: 0x1112_1314_1516_1718 };
        for backlog in [false, true] {
            let mut frames = b"before".to_vec();
            append(&mut frames, DeliveryId::default(), false, b"an envelope");
            let frame = &mut frames[b"before".len()..];
            number(frame, delivery.epoch, &[delivery.number]);
            if backlog {
                set_backlog(frame);
            }
            let expected = ToClient::Deliver { delivery, backlog, envelope: b"an envelope".to_vec() };
            assert_eq!(frame, expected.encode());
            assert_eq!(envelope(frame), b"an envelope");
        }
    }

    #[test]
    fn deliveries_get_their_numbers_in_turn_and_what_is_between_them_stays() {
        let (mut frames, skipped) = (Vec::new(), ToClient::Skipped { count: 7 });
        for _ in 0..2 {
            skipped.append_to(&mut frames);
            append(&mut frames, DeliveryId::default(), true, b"an envelope");
        }
        number(&mut frames, 3, &[8, 11]);
        let numbered = [8, 11].map(|number| {
            let delivery = DeliveryId { epoch: 3, number };
            [
                skipped.encode(),
                ToClient::Deliver { delivery, backlog: true, envelope: b"an envelope".to_vec() }.encode(),
            ]
        });
        assert_eq!(frames, numbered.concat().concat());
    }
}
