//! Listings, page by page until no token is left.

use std::collections::HashSet;
use std::future::Future;

use super::failure;
use crate::inventory::{ClusterRef, Failure};

/// One page: its items, and the token of the next page.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

/// Every item of a listing.
pub(super) async fn all_pages<T, P, Answer>(
    operation: &'static str,
    cluster: Option<&ClusterRef>,
    page: P,
) -> Result<Vec<T>, Failure>
where
    P: FnMut(Option<String>) -> Answer,
    Answer: Future<Output = Result<Page<T>, Failure>>,
{
    let mut all = Vec::new();
    each_page(operation, cluster, page, |items| all.extend(items)).await?;
    Ok(all)
}

/// Takes a listing page by page. A page may be short or empty and still have a successor; only a missing
/// token ends a listing. (The SDK's paginators are not used: they end a repeated token as a success.)
pub(super) async fn each_page<T, P, Answer>(
    operation: &'static str,
    cluster: Option<&ClusterRef>,
    mut page: P,
    mut take: impl FnMut(Vec<T>),
) -> Result<(), Failure>
where
    P: FnMut(Option<String>) -> Answer,
    Answer: Future<Output = Result<Page<T>, Failure>>,
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
                return Err(failure::bad_answer(operation, cluster, "the listing repeats a page token and never ends"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pages: &[(Vec<u8>, Option<&str>)]) -> Result<Vec<u8>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut pages = pages.iter();
        runtime.block_on(all_pages("ListTasks", None, |_| {
            let (items, next) = pages.next().expect("no call after the last page").clone();
            async move { Ok(Page { items, next: next.map(String::from) }) }
        }))
    }

    #[test]
    fn an_empty_page_with_a_token_is_no_end() {
        let pages = [(vec![1], Some("a")), (vec![], Some("b")), (vec![2], None)];
        assert_eq!(read(&pages), Ok(vec![1, 2]));
        assert_eq!(read(&[(vec![1], Some(""))]), Ok(vec![1]));
    }

    #[test]
    fn a_repeated_token_is_a_failure() {
        let failure = read(&[(vec![1], Some("a")), (vec![2], Some("b")), (vec![3], Some("a"))]).unwrap_err();
        assert_eq!(failure.code, "BadAnswer");
    }

    proptest! {
        #[test]
        fn any_page_size_gives_the_same_listing(items: Vec<u8>, size in 1..20_usize) {
            let chunks: Vec<Vec<u8>> = items.chunks(size).map(<[u8]>::to_vec).collect();
            let tokens: Vec<String> = (1..chunks.len()).map(|n| n.to_string()).collect();
            let next = tokens.iter().map(|token| Some(token.as_str())).chain([None]);
            let mut pages: Vec<_> = chunks.into_iter().zip(next).collect();
            if pages.is_empty() {
                pages.push((vec![], None));
            }
            prop_assert_eq!(read(&pages), Ok(items));
        }
    }
}
