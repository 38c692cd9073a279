//! A user's tier, written where the application's sign-in service keeps the user.

use super::Workers;
use super::outbox::Outcome;
use sessile_core::ledger::Reads;
use sessile_core::login::UserId;
use sessile_core::user::UserUuid;
use sessile_providers::supabase::Written;

impl Workers {
    /// Writes the tier that the user has now: an older order that is carried out late must not undo a newer one.
    pub(super) async fn tier(&self, user: &UserId, ordered: &str) -> Outcome {
        let Some(admin) = &self.0.supabase else {
            return Outcome::Again("SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY are not set".to_owned());
        };
        let Some(uuid) = UserUuid::parse(user.as_str()) else {
            tracing::info!("a tier was not written to Supabase: the user's id is none of Supabase's");
            return Outcome::Done;
        };
        let books = match self.0.money.ledger.look(&Reads::none().user(user.clone())).await {
            Ok(books) => books,
            Err(error) => {
                return Outcome::Again(format!(
                    "the ledger did not answer: {}",
                    crate::stores::reason_of(&error)
                ));
            }
        };
        let tier = books.tier(user).unwrap_or(ordered);
        match admin.write_tier(uuid.as_str(), tier).await {
            Written::Done => Outcome::Done,
            Written::NoSuchUser => {
                tracing::info!(
                    user = uuid.as_str(),
                    tier,
                    "a tier was not written: Supabase has no such user"
                );
                Outcome::Done
            }
            Written::Failed(why) => Outcome::Again(why),
        }
    }
}
