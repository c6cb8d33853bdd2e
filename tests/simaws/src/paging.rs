//! The pages of a listing, and the opaque tokens between them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Limits the tokens kept, so that a server that runs for days does not grow. The oldest are evicted first.
const KEPT_TOKENS: usize = 4096;

const REPEATED: &str = "the+same/token+again==";

/// What a fault does to the pages of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageFault {
    /// An empty page with a new token comes before each real page.
    EmptyFirst,
    /// The token of the request is returned.
    RepeatedToken,
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) items: Vec<String>,
    pub(crate) next: Option<String>,
}

/// A request for a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The listing. A token of another listing is rejected.
    pub(crate) listing: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) size: usize,
    pub(crate) fault: Option<PageFault>,
}

/// Where a token continues. All pages of a listing show the world as it was at the first page.
#[derive(Clone, Debug)]
struct Place {
    listing: Arc<str>,
    items: Arc<[String]>,
    offset: usize,
    after_empty_page: bool,
}

/// The issued tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    issued: u64,
    places: HashMap<String, Place>,
    order: VecDeque<String>,
}

impl Tokens {
    /// Returns the requested page, or `None` if the token is not of this listing.
    pub(crate) fn page(&mut self, wanted: Wanted<'_>, list: impl FnOnce() -> Vec<String>) -> Option<Page> {
        let place = self.place(wanted, list)?;
        if wanted.fault == Some(PageFault::EmptyFirst) && !place.after_empty_page {
            let next = self.issue(Place { after_empty_page: true, ..place });
            return Some(Page { items: Vec::new(), next: Some(next) });
        }
        let end = place.items.len().min(place.offset.saturating_add(wanted.size.max(1)));
        let items = place.items[place.offset..end].to_vec();
        let next = if wanted.fault == Some(PageFault::RepeatedToken) {
            Some(wanted.token.unwrap_or(REPEATED).to_owned())
        } else if end < place.items.len() {
            Some(self.issue(Place { offset: end, after_empty_page: false, ..place }))
        } else {
            None
        };
        Some(Page { items, next })
    }

    fn place(&self, wanted: Wanted<'_>, list: impl FnOnce() -> Vec<String>) -> Option<Place> {
        match wanted.token {
            None | Some(REPEATED) => {
                Some(Place { listing: wanted.listing.into(), items: list().into(), offset: 0, after_empty_page: false })
            }
            Some(token) => self.places.get(token).filter(|place| *place.listing == *wanted.listing).cloned(),
        }
    }

    /// Issues a token without a visible pattern, and with characters that need encoding in a form.
    fn issue(&mut self, place: Place) -> String {
        self.issued += 1;
        let token = format!("{:016x}+/==", self.issued.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        if self.order.len() == KEPT_TOKENS
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
        self.order.push_back(token.clone());
        self.places.insert(token.clone(), place);
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(tokens: &mut Tokens, count: usize, size: usize, fault: Option<PageFault>) -> (usize, Vec<String>) {
        let (mut pages, mut found, mut token) = (0, Vec::new(), None::<String>);
        loop {
            let wanted = Wanted { listing: "x", token: token.as_deref(), size, fault };
            let page = tokens.page(wanted, || (0..count).map(|n| n.to_string()).collect()).unwrap();
            pages += 1;
            found.extend(page.items);
            match page.next {
                Some(next) => assert_ne!(token.replace(next.clone()), Some(next)),
                None => return (pages, found),
            }
        }
    }

    #[test]
    fn any_page_size_gives_the_same_listing() {
        let mut tokens = Tokens::default();
        let (_, expected) = all(&mut tokens, 10, 100, None);
        for size in 1..12 {
            let (pages, found) = all(&mut tokens, 10, size, None);
            assert_eq!((pages, found), (10_usize.div_ceil(size), expected.clone()));
            let (pages, found) = all(&mut tokens, 10, size, Some(PageFault::EmptyFirst));
            assert_eq!((pages, found), (2 * 10_usize.div_ceil(size), expected.clone()));
        }
        assert_eq!(all(&mut tokens, 0, 5, None), (1, vec![]));
    }

    #[test]
    fn token_is_valid_only_for_its_listing() {
        let mut tokens = Tokens::default();
        let list = || vec!["a".to_owned(), "b".to_owned()];
        let first = Wanted { listing: "x", token: None, size: 1, fault: None };
        let token = tokens.page(first, list).unwrap().next;
        let second = Wanted { token: token.as_deref(), ..first };
        assert_eq!(tokens.page(Wanted { listing: "y", ..second }, list), None);
        assert_eq!(tokens.page(Wanted { token: Some("made up"), ..first }, list), None);
        // A client that lost the response retries with the same token.
        for _ in 0..2 {
            let page = tokens.page(second, list).unwrap();
            assert_eq!(page, Page { items: vec!["b".to_owned()], next: None });
        }
    }

    #[test]
    fn repeated_token_never_ends_the_listing() {
        let mut tokens = Tokens::default();
        let list = || vec!["a".to_owned()];
        let fault = Some(PageFault::RepeatedToken);
        let first = Wanted { listing: "x", token: None, size: 1, fault };
        let token = tokens.page(first, list).unwrap().next.unwrap();
        let again = Wanted { token: Some(&token), ..first };
        let page = tokens.page(again, list).unwrap();
        assert_eq!((page.items, page.next.as_ref()), (vec!["a".to_owned()], Some(&token)));
    }
}
