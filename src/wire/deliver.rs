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

/// Gives a frame its number in the server's order.
pub fn set_delivery(frame: &mut [u8], delivery: DeliveryId) {
    frame[DELIVERY..NUMBER].copy_from_slice(&delivery.epoch.to_be_bytes());
    frame[NUMBER..BACKLOG].copy_from_slice(&delivery.number.to_be_bytes());
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
            append(&mut frames, DeliveryId { epoch: 0, number: 0 }, false, b"an envelope");
            let frame = &mut frames[b"before".len()..];
            set_delivery(frame, delivery);
            if backlog {
                set_backlog(frame);
            }
            let expected = ToClient::Deliver { delivery, backlog, envelope: b"an envelope".to_vec() };
            assert_eq!(frame, expected.encode());
            assert_eq!(envelope(frame), b"an envelope");
        }
    }
}
