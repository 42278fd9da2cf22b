//! Users and logins through their routes, on the real store.

mod extract;
mod login;
mod mail;
mod sessions;
mod test_app;
mod users;
