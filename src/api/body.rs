//! Reading request bodies: bounded in bytes and in time. A slow or endless body ends in words, not in a hang.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};

use super::Refused;

/// A whole small body must be here by then.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// The next piece of a long body must be here by then.
const PIECE_DEADLINE: Duration = Duration::from_secs(30);

/// Reads a body of at most `limit` bytes.
pub(crate) async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Refused> {
    let too_long = || Refused::new(413, format!("the request's body has more than {limit} bytes"));
    if body.size_hint().lower() > limit as u64 {
        return Err(too_long());
    }
    let whole = async {
        let mut all = BytesMut::new();
        while let Some(piece) = piece(&mut body).await? {
            if all.len() + piece.len() > limit {
                return Err(too_long());
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    };
    within(BODY_DEADLINE, whole).await
}

/// The next piece of a long body.
pub(crate) async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, Refused> {
    within(PIECE_DEADLINE, piece(body)).await
}

async fn within<T>(deadline: Duration, read: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
    tokio::time::timeout(deadline, read).await.unwrap_or_else(|_| {
        Err(Refused::new(408, format!("the request's body did not arrive within {} s", deadline.as_secs())))
    })
}

async fn piece(body: &mut Body) -> Result<Option<Bytes>, Refused> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return Ok(None),
            // Trailers say nothing we would want to know.
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Some(Err(error)) => {
                return Err(Refused::new(400, format!("the request's body broke off: {error}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up_in_words() {
        let never = std::future::pending::<Result<(), Refused>>();
        let refused = within(Duration::from_millis(1), never).await.unwrap_err();
        assert_eq!(refused.status, 408);
        assert!(refused.message.contains("did not arrive"));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_and_no_further() {
        assert_eq!(collect(Body::from("12345"), 5).await.unwrap(), "12345");
        assert_eq!(collect(Body::from("123456"), 5).await.unwrap_err().status, 413);
    }
}
