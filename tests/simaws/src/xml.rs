//! Writes the XML of responses.

use std::fmt::Write;

/// An element under construction.
#[derive(Debug)]
pub(crate) struct Element {
    name: &'static str,
    attributes: String,
    content: String,
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: String::new(), content: String::new() }
    }

    pub(crate) fn in_namespace(name: &'static str, namespace: &str) -> Self {
        Self { attributes: format!(" xmlns=\"{namespace}\""), ..Self::new(name) }
    }

    /// Adds a child element.
    pub(crate) fn child(mut self, child: Self) -> Self {
        let Self { name, attributes, content } = child;
        // Writing to a String cannot fail.
        let _ = if content.is_empty() {
            write!(self.content, "<{name}{attributes}/>")
        } else {
            write!(self.content, "<{name}{attributes}>{content}</{name}>")
        };
        self
    }

    /// Adds child elements.
    pub(crate) fn children(self, children: impl IntoIterator<Item = Self>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    /// Adds a child element with a text.
    pub(crate) fn text(self, name: &'static str, text: &str) -> Self {
        self.child(Self { content: escaped(text), ..Self::new(name) })
    }

    /// Adds a child element with a text, if there is a text.
    pub(crate) fn maybe(self, name: &'static str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Returns the document with this element as its root.
    pub(crate) fn document(self) -> String {
        let Self { name, attributes, content } = self;
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name}{attributes}>{content}</{name}>")
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_nest_and_text_is_escaped() {
        let item = Element::new("item").text("key", "a<b>&\"").maybe("none", None);
        let document = Element::in_namespace("R", "urn:x").child(item).child(Element::new("set")).document();
        let body = "<R xmlns=\"urn:x\"><item><key>a&lt;b&gt;&amp;&quot;</key></item><set/></R>";
        assert_eq!(document, format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}"));
    }
}
