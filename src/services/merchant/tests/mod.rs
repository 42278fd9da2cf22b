//! The service on its real routes and store; accounts are sold by the real L402 on a simulated node.

mod account;
mod public;
mod signup;
mod test_app;
