//! Explains why each container of the scanned clusters is or is not a target. Pure: from a refresh to rows, and
//! from rows to text or JSON.

mod explanation;
mod failures;
mod json;
mod rows;
mod text;

pub use self::explanation::{Cluster, Explanation, explain, explain_selected};
pub use self::json::json;
pub use self::rows::{Row, Target, Verdict};
pub use self::text::{Colour, text};
