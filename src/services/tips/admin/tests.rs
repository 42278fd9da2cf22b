//! The operator's side, through the trait that the admin API calls and through the scheduler's routes.

mod desk;
mod document;
mod letters;
mod reminders;
mod test_app;
