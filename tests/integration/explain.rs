//! `-explain`: why each container is or is not a target.
