//! Pagination.

use std::collections::HashSet;
use std::future::Future;

use super::errors;
use crate::inventory::{ClusterRef, Failure, Operation};

/// One page of a listing.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// The token of the next page.
    pub(super) next: Option<String>,
}

/// Returns every item of a listing.
pub(super) async fn all_pages<T, P, Response>(
    operation: Operation,
    cluster: Option<&ClusterRef>,
    page: P,
) -> Result<Vec<T>, Failure>
where
    P: FnMut(Option<String>) -> Response,
    Response: Future<Output = Result<Page<T>, Failure>>,
{
    let mut all = Vec::new();
    each_page(operation, cluster, page, |items| all.extend(items)).await?;
    Ok(all)
}

/// Passes a listing to `take`, page by page. A page may be short or empty and still have a successor; only a missing
/// token ends a listing. (The SDK's paginators are not used: they treat a repeated token as the end.)
pub(super) async fn each_page<T, P, Response>(
    operation: Operation,
    cluster: Option<&ClusterRef>,
    mut page: P,
    mut take: impl FnMut(Vec<T>),
) -> Result<(), Failure>
where
    P: FnMut(Option<String>) -> Response,
    Response: Future<Output = Result<Page<T>, Failure>>,
{
    let mut seen = HashSet::new();
    let mut token = None;
    loop {
        let page = page(token).await?;
        take(page.items);
        token = page.next.filter(|token| !token.is_empty());
        match &token {
            None => return Ok(()),
            Some(token) if !seen.insert(token.clone()) => {
                return Err(errors::invalid_response(operation, cluster, "the listing repeats a page token"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(pages: &[(Vec<u8>, Option<&str>)]) -> Result<Vec<u8>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut pages = pages.iter();
        runtime.block_on(all_pages(Operation::ListTasks, None, |_| {
            let (items, next) = pages.next().expect("no call after the last page").clone();
            async move { Ok(Page { items, next: next.map(String::from) }) }
        }))
    }

    #[test]
    fn continues_after_an_empty_page_with_a_token() {
        let pages = [(vec![1], Some("a")), (vec![], Some("b")), (vec![2], None)];
        assert_eq!(list(&pages), Ok(vec![1, 2]));
        assert_eq!(list(&[(vec![1], Some(""))]), Ok(vec![1]));
    }

    #[test]
    fn fails_on_a_repeated_token() {
        let failure = list(&[(vec![1], Some("a")), (vec![2], Some("b")), (vec![3], Some("a"))]).unwrap_err();
        assert_eq!(failure.code, "InvalidResponse");
    }

    proptest! {
        #[test]
        fn page_size_does_not_change_the_listing(items: Vec<u8>, size in 1..20_usize) {
            let chunks: Vec<Vec<u8>> = items.chunks(size).map(<[u8]>::to_vec).collect();
            let tokens: Vec<String> = (1..chunks.len()).map(|n| n.to_string()).collect();
            let next = tokens.iter().map(|token| Some(token.as_str())).chain([None]);
            let mut pages: Vec<_> = chunks.into_iter().zip(next).collect();
            if pages.is_empty() {
                pages.push((vec![], None));
            }
            prop_assert_eq!(list(&pages), Ok(items));
        }
    }
}
