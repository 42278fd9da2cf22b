//! Users and logins through their routes, on the real store.

mod asking;
mod house;
mod login;
mod mail;
mod sessions;
mod users;
