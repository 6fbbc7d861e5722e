//! Deliver frames made and read in place: the server passes envelopes on as they came, many at once.

use super::frame::{self, PREFIX};
use super::{DeliveryId, to_client};

/// Adds a frame to others: the same bytes as those of [`ToClient::Deliver`](super::ToClient::Deliver).
pub fn append(frames: &mut Vec<u8>, delivery: DeliveryId, backlog: bool, envelope: &[u8]) {
    frame::append(frames, to_client::DELIVER, |writer| {
        delivery.write(writer);
        writer.flag(backlog);
        writer.bytes(envelope);
    });
}

/// Gives a frame its number in the server's order.
pub fn set_delivery(frame: &mut [u8], delivery: DeliveryId) {
    let [epoch, number] = [delivery.epoch, delivery.number].map(u64::to_be_bytes);
    let fields = frame.iter_mut().skip(DELIVERY);
    fields.zip(epoch.into_iter().chain(number)).for_each(|(field, byte)| *field = byte);
}

/// Says of a frame that it waited for the client.
pub fn set_backlog(frame: &mut [u8]) {
    frame.iter_mut().skip(BACKLOG).take(1).for_each(|flag| *flag = 1);
}

/// The envelope of a frame.
pub fn envelope(frame: &[u8]) -> &[u8] {
    frame.get(ENVELOPE..).unwrap_or_default()
}

const DELIVERY: usize = PREFIX + 1;
const BACKLOG: usize = DELIVERY + 16;
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
