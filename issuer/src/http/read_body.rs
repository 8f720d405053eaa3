//! Bodies, taken in whole before anything looks at them.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use poem::{Body, Request};

use super::json::MAX_BODY_BYTES;
use super::problem::{Problem, ProblemCode};

/// Takes the body in before the operation starts, so that a slow line is not taken for a slow
/// database.
pub async fn read_body(request: &mut Request) -> Result<(), Problem> {
    let body = request.take_body();
    if body.is_empty() {
        return Ok(());
    }
    let cut_short =
        || Problem::with_detail(ProblemCode::MalformedJson, "The body did not arrive whole.");
    let bytes = tokio::time::timeout(BODY_WITHIN, whole(body))
        .await
        .map_err(|_elapsed| cut_short())?
        .map_err(|_broken_off| cut_short())?
        .ok_or_else(|| Problem::new(ProblemCode::PayloadTooLarge))?;
    request.set_body(bytes);
    Ok(())
}

/// All of a body; `None` when it is too large. Most arrive in one piece, which is not copied.
async fn whole(body: Body) -> io::Result<Option<Bytes>> {
    let mut pieces = pin!(body.into_bytes_stream());
    let first = pieces.try_next().await?.unwrap_or_default();
    if first.len() > MAX_BODY_BYTES {
        return Ok(None);
    }
    let Some(second) = pieces.try_next().await? else {
        return Ok(Some(first));
    };
    let mut bytes = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        if bytes.len() + piece.len() > MAX_BODY_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
        next = pieces.try_next().await?;
    }
    Ok(Some(bytes.freeze()))
}

/// A whole body arrives in this time on the slowest line that is still of use.
const BODY_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use poem::IntoResponse;

    use super::*;

    fn in_pieces(pieces: Vec<io::Result<Vec<u8>>>) -> Body {
        Body::from_bytes_stream(stream::iter(pieces))
    }

    async fn read(pieces: Vec<io::Result<Vec<u8>>>) -> Result<Vec<u8>, u16> {
        let mut request = Request::builder().body(in_pieces(pieces));
        if let Err(problem) = read_body(&mut request).await {
            return Err(problem.into_response().status().as_u16());
        }
        Ok(request.take_body().into_vec().await.expect("in memory"))
    }

    #[tokio::test]
    async fn pieces_are_put_together_in_order() {
        assert_eq!(read(vec![]).await, Ok(vec![]));
        assert_eq!(read(vec![Ok(vec![1, 2])]).await, Ok(vec![1, 2]));
        let pieces = vec![Ok(vec![1]), Ok(vec![]), Ok(vec![2, 3]), Ok(vec![4])];
        assert_eq!(read(pieces).await, Ok(vec![1, 2, 3, 4]));
    }

    #[tokio::test]
    async fn a_body_is_as_large_as_the_limit_and_no_larger_however_it_is_cut() {
        for n_first in [0, 1, MAX_BODY_BYTES / 2, MAX_BODY_BYTES - 1] {
            let cut = |n_all: usize| vec![Ok(vec![7; n_first]), Ok(vec![7; n_all - n_first])];
            let whole = read(cut(MAX_BODY_BYTES)).await;
            assert_eq!(whole, Ok(vec![7; MAX_BODY_BYTES]), "{n_first}");
            assert_eq!(read(cut(MAX_BODY_BYTES + 1)).await, Err(413), "{n_first}");
        }
        let at_once = vec![Ok(vec![7; MAX_BODY_BYTES + 1])];
        assert_eq!(read(at_once).await, Err(413));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_refused() {
        let broken = || Err(io::ErrorKind::ConnectionReset.into());
        assert_eq!(read(vec![broken()]).await, Err(400));
        assert_eq!(read(vec![Ok(vec![1]), broken()]).await, Err(400));
        let pieces = vec![Ok(vec![1]), Ok(vec![2]), broken()];
        assert_eq!(read(pieces).await, Err(400));
    }
}
