//! `/api/v1/admin/packages`.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use super::super::model::{
    PackageAct, PackageFields, PackageListing, is_known_form, is_package_id,
};
use super::super::{act, list};
use crate::app::App;
use crate::http::problem::{AdminOnly, FieldError, Problem, ProblemCode, Refusal};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, Body, RequestInfo};

/// What can be bought, for admins.
#[derive(Debug)]
pub struct PackagesApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// A package, on offer or not.
#[derive(Debug, Object)]
#[oai(rename = "AdminPackage", rename_all = "camelCase")]
struct PackageView {
    id: String,
    name: String,
    credits: i64,
    /// In the smallest unit of the currency.
    price_cents: i64,
    /// ISO 4217.
    currency: String,
    /// Whether it can be bought now.
    active: bool,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<PackageListing> for PackageView {
    fn from(package: PackageListing) -> Self {
        Self {
            id: package.id,
            name: package.name,
            credits: package.credits,
            price_cents: package.price_cents,
            currency: package.currency,
            active: package.active,
            created_at: package.created_at,
            updated_at: package.updated_at,
        }
    }
}

#[derive(Debug, Object)]
#[oai(
    rename = "PackageRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct PackageRequest {
    /// 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first.
    id: String,
    name: String,
    credits: i64,
    /// In the smallest unit of the currency.
    price_cents: i64,
    /// ISO 4217.
    currency: String,
}

#[derive(Debug, Object)]
#[oai(
    rename = "PackageUpdate",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct PackageUpdate {
    name: String,
    credits: i64,
    /// In the smallest unit of the currency.
    price_cents: i64,
    /// ISO 4217.
    currency: String,
}

#[derive(Debug, Object)]
#[oai(rename = "PackageAnswer")]
struct PackageAnswer {
    package: PackageView,
}

#[derive(Debug, ApiResponse)]
enum Created {
    /// Made.
    #[oai(status = 201)]
    Created(Json<PackageAnswer>),
}

#[derive(Debug, ApiResponse)]
enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Admin")]
impl PackagesApi {
    /// List all packages
    ///
    /// Cheapest first, those that are not on offer included.
    #[oai(
        path = "/packages",
        method = "get",
        operation_id = "listPackagesAsAdmin"
    )]
    async fn list_packages(
        &self,
        caller: AdminCaller,
    ) -> Result<Json<Vec<PackageView>>, Refusal<AdminOnly>> {
        let packages = list::list_packages(&self.app, &caller.0, None).await?;
        Ok(Json(packages.into_iter().map(PackageView::from).collect()))
    }

    /// Create a package
    ///
    /// It is on offer at once.
    #[oai(path = "/packages", method = "post", operation_id = "createPackage")]
    async fn create_package(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        body: Body<PackageRequest>,
    ) -> Result<Created, Refusal<AdminOnly>> {
        let (id, fields) = body.0.check()?;
        let create = PackageAct::Create(fields);
        act::act_on_package(&self.app, &caller.0, &id, &create, &request).await?;
        let package = self.load(&caller, &id).await?;
        Ok(Created::Created(Json(PackageAnswer { package })))
    }

    /// Set a package
    ///
    /// All fields. What was bought or begun before keeps its credits and price.
    #[oai(path = "/packages/:id", method = "put", operation_id = "updatePackage")]
    async fn update_package(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The package.
        id: Path<String>,
        body: Body<PackageUpdate>,
    ) -> Result<Json<PackageAnswer>, Refusal<AdminOnly>> {
        let update = PackageAct::Update(checked(body.0.into(), Vec::new())?);
        self.act(&request, &caller, &id.0, &update).await?;
        let package = self.load(&caller, &id.0).await?;
        Ok(Json(PackageAnswer { package }))
    }

    /// Offer a package
    #[oai(
        path = "/packages/:id/activate",
        method = "post",
        operation_id = "activatePackage"
    )]
    async fn activate_package(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The package.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&request, &caller, &id.0, &PackageAct::Activate)
            .await?;
        Ok(Done::Done)
    }

    /// Take a package off
    ///
    /// Checkouts that are open can still be paid.
    #[oai(
        path = "/packages/:id/deactivate",
        method = "post",
        operation_id = "deactivatePackage"
    )]
    async fn deactivate_package(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The package.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&request, &caller, &id.0, &PackageAct::Deactivate)
            .await?;
        Ok(Done::Done)
    }

    /// Delete a package
    ///
    /// 409 when somebody has bought it or begun to: take it off instead.
    #[oai(
        path = "/packages/:id",
        method = "delete",
        operation_id = "deletePackage"
    )]
    async fn delete_package(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The package.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&request, &caller, &id.0, &PackageAct::Delete)
            .await?;
        Ok(Done::Done)
    }
}

impl PackagesApi {
    async fn act(
        &self,
        request: &RequestInfo,
        caller: &AdminCaller,
        id: &str,
        act: &PackageAct,
    ) -> Result<(), Problem> {
        act::act_on_package(&self.app, &caller.0, known_id(id)?, act, request).await?;
        Ok(())
    }

    async fn load(&self, caller: &AdminCaller, id: &str) -> Result<PackageView, Problem> {
        let found = list::list_packages(&self.app, &caller.0, Some(id)).await?;
        let package = found.into_iter().next();
        package
            .map(PackageView::from)
            .ok_or_else(|| Problem::new(ProblemCode::NotFound))
    }
}

impl From<PackageUpdate> for PackageFields {
    fn from(body: PackageUpdate) -> Self {
        Self {
            name: body.name,
            credits: body.credits,
            price_cents: body.price_cents,
            currency: body.currency,
        }
    }
}

impl PackageRequest {
    fn check(self) -> Result<(String, PackageFields), Problem> {
        let fields = PackageFields {
            name: self.name,
            credits: self.credits,
            price_cents: self.price_cents,
            currency: self.currency,
        };
        let wrong_id = (
            "id",
            "must be 1 to 64 letters, digits, dots, underscores and hyphens",
        );
        let problems = match is_package_id(&self.id) {
            true => Vec::new(),
            false => vec![wrong_id],
        };
        checked(fields, problems).map(|fields| (self.id, fields))
    }
}

fn checked(
    fields: PackageFields,
    mut problems: Vec<(&'static str, &'static str)>,
) -> Result<PackageFields, Problem> {
    problems.extend(fields.problems());
    match problems.is_empty() {
        true => Ok(fields),
        false => Err(Problem::validation(
            problems
                .into_iter()
                .map(|(field, message)| FieldError::new(field, message))
                .collect(),
        )),
    }
}

/// What cannot be an id names nothing.
fn known_id(text: &str) -> Result<&str, Problem> {
    is_known_form(text)
        .then_some(text)
        .ok_or_else(|| Problem::new(ProblemCode::NotFound))
}
