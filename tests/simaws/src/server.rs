//! The server's face.

use std::io;
use std::net::SocketAddr;

use crate::{Calls, Fault, Options, World};

/// A running simulated AWS. Dropping it stops the server and cuts its connections.
#[derive(Debug)]
pub struct SimAws {
    address: SocketAddr,
}

impl SimAws {
    /// Starts on a free loopback port.
    pub async fn start(world: World) -> io::Result<Self> {
        let _ = world;
        todo!("not written yet")
    }

    /// Starts on this address.
    pub async fn start_on(address: SocketAddr, world: World) -> io::Result<Self> {
        let _ = (address, world);
        todo!("not written yet")
    }

    /// Starts on a free loopback port, for tests without a runtime.
    pub fn start_blocking(world: World) -> io::Result<Self> {
        let _ = world;
        todo!("not written yet")
    }

    /// Starts on this address, for callers without a runtime.
    pub fn start_blocking_on(address: SocketAddr, world: World) -> io::Result<Self> {
        let _ = (address, world);
        todo!("not written yet")
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the world between two calls.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut World::default())
    }

    /// The world as it is now.
    pub fn world(&self) -> World {
        World::default()
    }

    /// Replaces the options; quota buckets are full again.
    pub fn set_options(&self, options: Options) {
        let _ = options;
    }

    /// Adds a rule after those in force.
    pub fn add_fault(&self, fault: Fault) {
        let _ = fault;
    }

    /// Ends all rules.
    pub fn clear_faults(&self) {}

    /// The calls since the start or the last [`SimAws::take_calls`].
    pub fn calls(&self) -> Calls {
        Calls::default()
    }

    /// The same, and counts from nothing again.
    pub fn take_calls(&self) -> Calls {
        Calls::default()
    }

    /// Unknown operations and paths and broken limits seen so far: a good client leaves this empty.
    pub fn unexpected(&self) -> Vec<String> {
        Vec::new()
    }
}
