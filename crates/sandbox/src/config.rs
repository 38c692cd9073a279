//! Which stand-ins a sandbox serves. One that is not named here is not served.

use crate::click::ClickConfig;
use crate::stripe::StripeConfig;
use crate::superduperai::SuperDuperAiConfig;
use crate::whop::WhopConfig;

/// The stand-ins to serve, and their settings.
#[derive(Clone, Debug, Default)]
pub struct SandboxConfig {
    /// Sign-in.
    pub whop: Option<WhopConfig>,
    /// Payments.
    pub click: Option<ClickConfig>,
    /// Checkout.
    pub stripe: Option<StripeConfig>,
    /// Video generation.
    pub superduperai: Option<SuperDuperAiConfig>,
}

impl SandboxConfig {
    /// Nothing yet; add what is wanted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also serves a stand-in Whop.
    #[must_use]
    pub fn with_whop(mut self, whop: WhopConfig) -> Self {
        self.whop = Some(whop);
        self
    }

    /// Also serves a stand-in Click.
    #[must_use]
    pub fn with_click(mut self, click: ClickConfig) -> Self {
        self.click = Some(click);
        self
    }

    /// Also serves a stand-in Stripe.
    #[must_use]
    pub fn with_stripe(mut self, stripe: StripeConfig) -> Self {
        self.stripe = Some(stripe);
        self
    }

    /// Also serves a stand-in SuperDuperAI.
    #[must_use]
    pub fn with_superduperai(mut self, superduperai: SuperDuperAiConfig) -> Self {
        self.superduperai = Some(superduperai);
        self
    }
}

impl From<WhopConfig> for SandboxConfig {
    fn from(whop: WhopConfig) -> Self {
        Self::new().with_whop(whop)
    }
}

impl From<ClickConfig> for SandboxConfig {
    fn from(click: ClickConfig) -> Self {
        Self::new().with_click(click)
    }
}

impl From<StripeConfig> for SandboxConfig {
    fn from(stripe: StripeConfig) -> Self {
        Self::new().with_stripe(stripe)
    }
}

impl From<SuperDuperAiConfig> for SandboxConfig {
    fn from(superduperai: SuperDuperAiConfig) -> Self {
        Self::new().with_superduperai(superduperai)
    }
}
