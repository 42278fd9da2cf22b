//! The operator's side, through the trait that the admin room calls and through the scheduler's routes.

mod desk;
mod document;
mod house;
mod letters;
mod reminders;
